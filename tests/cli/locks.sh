# Locks of job lines: queue_lock, worker_lock, lock_namespace, on_conflict; and what --output says of twins.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

# line WORD USER [KEYS]: a job that is known by its output.
line()
{
    printf '{"worker":"Exec","inputs":{"argv":["echo","%s"],"user":"%s"}%s}\n' "$1" "$2" "${3-}"
}
words()
{
    sed -n 's/.*"output":"\([a-z0-9]*\)\\n".*/\1/p' "$dir/ended" | tr '\n' ' '
}
ran()
{
    [ "$(words)" = "$*${*:+ }" ] || { words && shown; }
}
by_user=',"queue_lock":["user"]'

# ---- the queue lock ---------------------------------------------------------------------------------------

{
    line a bob "$by_user"
    line b bob "$by_user"
    line c eve "$by_user"
    line d bob
    line e bob "$by_user"
} | run_gated
ok 'of jobs with one queue lock the first runs, others beside it' ran a c d
ok 'the next is a duplicate' came_to 3 duplicate
ok 'of the one that waits' has_twin 3 2
ok 'which all its twins are' has_twin 6 2
ok 'its line has this form' ended \
    "^\\{\"id\":null,\"line\":3,\"worker\":\"Exec\",\"queue\":null,\"outcome\":\"duplicate\",\"attempts\":0,\"error\":null,\"output\":\"\",\"wait_us\":0.000,\"run_us\":0.000,\"twin\":\"$(id_of 2)\"\\}\$"
ok 'the one that waits has no twin in its line' fails grep -q '"line":2,.*twin' "$dir/ended"
ok 'duplicates are counted' count duplicate 2
ok 'and are not among the jobs' count enqueued 4

yes "$(line x bob "$by_user")" | head -n 300 >"$dir/lines"
run "$dir/lines"
ok 'duplicates are no fault' exits 0
ok 'and nothing is said of them' silent
ok 'every line of the input has its line in the output' \
    test "$(grep -o '"line":[0-9]*' "$dir/ended" | sort -u | wc -l)" -eq 300
ok 'one' test "$(wc -l <"$dir/ended")" -eq 300
every_line()
{
    tail -n 1 "$dir/out" | sed 's/.*"enqueued":\([0-9]*\),"duplicate":\([0-9]*\),.*/\1 \2/' |
        awk '{exit !($1 + $2 == 300 && $1 >= 1)}' || shown
}
ok 'as a job or as a duplicate' every_line
plain run --summary text "$dir/lines"
ok 'the text summary has the duplicates' prints '^duplicate +[1-9][0-9]*$'

{
    line a bob ',"queue_lock":"all"'
    line a bob ',"queue_lock":"all"'
    line a eve ',"queue_lock":"all"'
    printf '{"worker":"Exec","queue_lock":"all","inputs":{"user":"bob","argv":["echo","a"]}}\n'
} | run_gated
ok '"all" is every input' ran a a
ok 'in any order' came_to 5 duplicate
{
    line a bob ',"queue_lock":["user","argv"]'
    line b bob ',"queue_lock":["user","argv"]'
    line a bob ',"queue_lock":["user","argv"]'
    line c bob ',"queue_lock":["cwd"]'
    line d eve ',"queue_lock":["cwd"]'
} | run_gated
ok 'a lock may name several inputs' came_to 4 duplicate
ok 'which must all be equal' came_to 3 'done'
ok 'an input of the worker that is absent is a value, too' came_to 6 duplicate

{
    line a bob "$by_user,\"lock_namespace\":\"users\""
    printf '{"worker":"Noop","inputs":{"user":"bob"},"queue_lock":["user"],"lock_namespace":"users"}\n'
    printf '{"worker":"Noop","inputs":{"user":"bob"},"queue_lock":["user"]}\n'
    line b bob "$by_user,\"lock_namespace\":\"others\""
} | run_gated
ok 'workers that share a name space share locks' has_twin 3 2
ok 'others do not' came_to 4 'done'
ok 'nor does another name space' came_to 5 'done'

# ---- what happens where a twin waits -----------------------------------------------------------------------

{
    line a bob "$by_user,\"on_conflict\":\"keep\""
    line b bob "$by_user,\"on_conflict\":\"keep\""
} | run_gated
ok 'keep: the one that waits stays' ran a
ok 'and the line is its duplicate' has_twin 3 2

{
    line a bob "$by_user"
    line b eve "$by_user"
    line c bob "$by_user,\"on_conflict\":\"replace\""
} | run_gated
ok 'replace: the new one runs in its place' ran c b
ok 'the one that waited ends as replaced' came_to 2 replaced
ok 'by the new one' has_twin 2 4
ok 'which has one line' came_to 4 'done'
ok 'that is counted' count replaced 1
{
    line a bob "$by_user,\"in\":3600,\"on_conflict\":\"replace\""
    line b bob "$by_user,\"in\":3600,\"on_conflict\":\"replace\""
    line c bob "$by_user,\"on_conflict\":\"replace\""
} | run_gated
ok 'also where they are scheduled' ran c
ok 'each by the next' has_twin 2 3
ok 'and that again' has_twin 3 4
{
    line a bob "$by_user"
    line b bob "$by_user,\"on_conflict\":\"replace\",\"in\":0.1"
} | run_gated
ok 'one that is due later replaces one that is ready' ran b

yes "$(line a bob "$by_user,\"on_conflict\":\"debounce\",\"in\":0.2")" | head -n 5 | run_gated
ok 'debounce: repeated in time, it runs once' ran a
ok 'as the first of its lines' came_to 2 'done'
answered()
{
    for n in 3 4 5 6; do
        has_twin "$n" 2 || return 1
        case $(outcome_of "$n") in
        debounced | duplicate) ;;
        *) shown && return 1 ;;
        esac
    done
}
ok 'the others are answered by it' answered
ok 'and no jobs' count enqueued 2

{
    line a bob "$by_user,\"on_conflict\":\"debounce\",\"in\":3600"
    line b bob "$by_user,\"on_conflict\":\"debounce\",\"in\":3601"
    line c bob "$by_user,\"on_conflict\":\"debounce\",\"in\":3602"
    line d bob "$by_user,\"on_conflict\":\"debounce\",\"in\":5"
    line e bob "$by_user,\"on_conflict\":\"debounce\""
    line f bob "$by_user,\"on_conflict\":\"debounce\",\"at\":4102444800"
} >"$dir/late"
gated <"$dir/late"
kill -s TERM "$job"
open_gate
ok 'debounce moves it to what is later' came_to 3 debounced
ok 'again and again' came_to 4 debounced
ok 'not to what is earlier' came_to 5 duplicate
ok 'nor to now' came_to 6 duplicate
ok 'also to a date' came_to 7 debounced
ok 'its twin is the one that is scheduled' has_twin 7 2
ok 'which is left when the run is stopped' came_to 2 dropped
ok 'these are counted' count debounced 3
ok 'apart from duplicates' count duplicate 2

# Without on_conflict a scheduled job asks for its lock when it is due.
{
    line a bob "$by_user"
    line b bob "$by_user,\"in\":0.05"
} >"$dir/late"
gated <"$dir/late"
merged()
{
    [ "$(outcome_of 3)" = merged ]
}
ok 'one that becomes due while its twin waits is merged' wait_for merged
open_gate
ok 'into that' has_twin 3 2
ok 'which runs for both' ran a
ok 'that is counted' count merged 1

# ---- the worker lock ----------------------------------------------------------------------------------------

# alone DIRECTORY USER [KEYS]: a job that dies if another with that directory runs.
alone()
{
    printf '{"worker":"Exec","inputs":{"argv":["sh","-c","mkdir %s && sleep 0.01 && rmdir %s"],"user":"%s"}%s}\n' \
        "$dir/$1" "$dir/$1" "$2" "$3"
}
n=0
while [ $((n += 1)) -le 15 ]; do
    alone bob bob ',"worker_lock":["user"]'
    alone eve eve ',"worker_lock":["user"]'
done | run_lines -j 8
ok 'jobs with one worker lock never overlap' count 'done' 30
ok 'and all run' exits 0
yes "$(alone all bob ',"worker_lock":"all"')" | head -n 15 | run_lines -j 8
ok 'so with "all"' count 'done' 15
{
    yes "$(alone shared bob ',"worker_lock":["user"],"lock_namespace":"users"')" | head -n 10
    yes '{"worker":"Sleep","inputs":{"ms":1,"user":"bob"},"worker_lock":["user"],"lock_namespace":"users"}' |
        head -n 10
} | run_lines -j 8
ok 'and in a name space that workers share' count 'done' 20
yes "$(alone both bob ',"worker_lock":["user"],"queue_lock":["user"]')" | head -n 40 | run_lines -j 8
ok 'a line may have both locks' exits 0
ok 'one line of output for each, again' test "$(grep -o '"line":[0-9]*' "$dir/ended" | sort -u | wc -l)" -eq 40
yes "$(alone later bob ',"worker_lock":["user"],"in":0.02')" | head -n 10 | run_lines -j 8
ok 'one that was scheduled obeys, too' count 'done' 10
yes "$(alone few bob ',"worker_lock":["user"]')" | head -n 20 | run_lines -j 8 --max-jobs 3
ok 'also with little room' count 'done' 20

# ---- what is refused ----------------------------------------------------------------------------------------

for lock in queue_lock worker_lock; do
    refuses "$lock is a list or a string" "\"$lock\" must be a list or \"all\", not an integer" \
        "{\"worker\":\"Noop\",\"$lock\":7}"
    refuses "the string is \"all\"" "\"$lock\" is a string other than \"all\"" \
        "{\"worker\":\"Noop\",\"inputs\":{\"user\":1},\"$lock\":\"user\"}"
    refuses 'the list names something' "\"$lock\" is empty" "{\"worker\":\"Noop\",\"$lock\":[]}"
    refuses 'by strings' "\"$lock\" has a value that is no string" \
        "{\"worker\":\"Noop\",\"inputs\":{\"user\":1},\"$lock\":[\"user\",5]}"
    refuses 'without zero bytes' "\"$lock\" has a name with a zero byte" \
        "{\"worker\":\"Noop\",\"$lock\":[\"us\\\\u0000er\"]}"
    refuses 'that are names of inputs' "Exec: input usr, which a lock names, is neither declared nor given" \
        "{\"worker\":\"Exec\",\"inputs\":{\"argv\":[\"ls\"],\"user\":1},\"$lock\":[\"usr\"]}"
    refuses "$lock: no more than 64" 'more than 64 inputs' \
        "{\"worker\":\"Noop\",\"inputs\":{\"u\":1},\"$lock\":[$(yes '"u"' | head -n 65 | paste -sd ,)]}"
done
refuses 'a name space needs a lock' '"lock_namespace" is of no use without "queue_lock" or "worker_lock"' \
    '{"worker":"Noop","lock_namespace":"x"}'
refuses 'and a name' '"lock_namespace" is empty' \
    '{"worker":"Noop","queue_lock":"all","lock_namespace":""}'
refuses 'that is a string' '"lock_namespace" must be a string, not true' \
    '{"worker":"Noop","queue_lock":"all","lock_namespace":true}'
refuses 'on_conflict has three words' '"on_conflict" must be keep, replace or debounce, not "fail"' \
    '{"worker":"Noop","queue_lock":"all","on_conflict":"fail"}'
refuses 'all strings' '"on_conflict" must be a string, not a list' \
    '{"worker":"Noop","queue_lock":"all","on_conflict":["keep"]}'
refuses 'and needs a queue lock' 'on_conflict without a queue lock' \
    '{"worker":"Noop","worker_lock":"all","on_conflict":"keep"}'

tap_done
