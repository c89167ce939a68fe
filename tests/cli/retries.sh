# What a line's job may take: the keys "retries", "backoff", "expires_in" and "timeout".
# shellcheck disable=SC2016 # the dollars are for the programs
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"
: "${PLUGINS:?say where the plugins are: PLUGINS=build-test/cli}"

# shell COMMAND MORE-KEYS: the line of a job.
shell()
{
    printf '{"worker":"Exec","inputs":{"argv":["sh","-c","%s"]}%s}\n' "$1" "${2-}"
}
# later N: the command that succeeds when it is run for the N-th time. Each run leaves a file.
later()
{
    printf 'n=$(ls %s | wc -l); : >%s/$n; echo run $n >&2; exit $((n + 1 < %d))' "$dir/runs" "$dir/runs" "$1"
}
fresh()
{
    rm -rf "$dir/runs"
    mkdir "$dir/runs"
}
runs()
{
    [ "$(find "$dir/runs" -type f | wc -l)" -eq "$1" ] || shown
}

# ---- retries ----

fresh
shell "$(later 3)" ',"retries":5,"backoff":0.01' | run_lines
ok 'a job that fails is tried again' runs 3
ok 'until it succeeds' ended '"outcome":"done","attempts":3,"error":null'
ok 'which is a good run' exits 0
ok 'with nothing to say' silent
ok 'what failed is counted' count failed 2
ok 'as what was tried again is' count retried 2
ok 'and no job died' count dead 0

fresh
shell "$(later 9)" ',"retries":2,"backoff":0' | run_lines
ok 'one without retries left dies' ended '"outcome":"dead","attempts":3,"error":"exit status 1: run 2"'
ok 'with the error of its last attempt, and how many there were' \
    says ':1: Exec died at attempt 3: exit status 1: run 2$'
ok 'and the run is none of the good' exits 1
ok 'it is one dead job' count dead 1
ok 'of three failures' count failed 3

for keys in '' ',"retries":0' ',"retries":0,"backoff":5'; do
    fresh
    shell "$(later 2)" "$keys" | run_lines
    ok "a line with nothing but \"$keys\" is not tried again" ended '"outcome":"dead","attempts":1'
    ok 'as its message says' says ':1: Exec died: exit status 1'
done
echo '{"worker":"Account::FailWorker"}' | run_lines --load "$PLUGINS/plugin.so"
ok 'nor is a job of a loaded worker' ended '"outcome":"dead","attempts":1,"error":"no luck"'
echo '{"worker":"Account::FailWorker","retries":3,"backoff":0}' | run_lines --load "$PLUGINS/plugin.so"
ok 'unless the line says so' ended '"outcome":"dead","attempts":4,"error":"no luck"'
echo '{"worker":"Account::GiveUpWorker","retries":3,"backoff":0}' | run_lines --load "$PLUGINS/plugin.so"
ok 'what is discarded is not tried again' ended '"outcome":"discarded","attempts":1'

# Without backoff the first delay is 15 s at least: the run is stopped in it.
fresh
shell "$(later 2)" ',"retries":50000' >"$dir/lines"
"$TRESQUE" run --progress always --summary json --output "$dir/ended" "$dir/lines" >"$dir/out" 2>"$dir/err" &
job=$!
ok 'the default delays need time' wait_for says ' 1 scheduled'
ok 'the bar shows what was tried again' wait_for says ' 1 retried'
kill -s TERM "$job"
wait "$job"
status $?
ok 'a signal ends the wait for the next attempt' exits 143
ok 'the job is left' ended '"outcome":"dropped","attempts":1,"error":"exit status 1: run 0"'
ok 'with its last error' says ':1: Exec was dropped: exit status 1: run 0$'
"$TRESQUE" run --summary text >"$dir/out" 2>"$dir/err" <<END
$(fresh && shell "$(later 2)" ',"retries":1,"backoff":0')
END
ok 'the summary has a line for retries' prints '^retried +1$'

# ---- timeout ----

{
    echo '{"worker":"Sleep","inputs":{"seconds":1000000},"timeout":0.05}'
    shell 'exec sleep 1000000' ',"timeout":0.25'
} | run_lines -j 2
ok 'a sleep that takes too long fails' ended '"line":1,.*"outcome":"dead",.*"error":"timed out after 0\.[0-9]+ s"'
ok 'so does a program' ended '"line":2,.*"outcome":"dead",.*"error":"timed out after 0\.[0-9]+ s"'
ok 'and both are told' says ':2: Exec died: timed out after 0\.[0-9]+ s$'
ok 'no good run' exits 1
shell 'trap \"echo tidied up; echo sorry >&2; exit 0\" TERM; : >'"$dir"'/up; sleep 1000000 & wait' \
    ',"timeout":1' | run_lines
ok 'a program is told by SIGTERM, and may tidy up' ended '"output":"tidied up\\n"'
ok 'but has failed, with its last words' ended '"error":"timed out after [0-9.]+ s: sorry"'
fresh
shell "[ -e $dir/runs/0 ] || { : >$dir/runs/0; exec sleep 1000000; }" ',"timeout":0.5,"retries":1,"backoff":0' | run_lines
ok 'a program that hangs once is tried again' ended '"outcome":"done","attempts":2'
ok 'and that is good' exits 0
{
    shell 'echo quick' ',"timeout":1000000'
    echo '{"worker":"Sleep","inputs":{"ms":1},"timeout":1000000}'
    echo '{"worker":"Noop","timeout":1000000}'
} | run_lines
ok 'what ends in time is not disturbed' count 'done' 3

# Words that no other process has on its command line: not even grep's, which are a pattern.
here=$(basename "$dir")
left()
{
    grep -la "[s]leep.1000000.$here.$1" /proc/[0-9]*/cmdline 2>/dev/null | grep -q .
}
# Two at once, since each takes the whole grace: one that ignores SIGTERM, and one whose child does.
{
    printf '{"worker":"Exec","inputs":{"argv":["sh","-c","%s","sleep 1000000","%s","stubborn"]},"timeout":0.5}\n' \
        'trap : TERM; while :; do sleep 1; done' "$here"
    printf '{"worker":"Exec","inputs":{"argv":["sh","-c","%s"]},"timeout":0.5}\n' \
        "sh -c 'trap : TERM; while :; do sleep 1; done' 'sleep 1000000' $here child & wait"
} >"$dir/lines"
"$TRESQUE" run -j 2 --summary json --output "$dir/ended" "$dir/lines" >"$dir/out" 2>"$dir/err" &
job=$!
ok 'two programs run that do not obey SIGTERM' wait_for left stubborn
ok 'one of them a child of another' wait_for left child
wait "$job"
status $?
ok 'who does not obey is killed' \
    ended '"line":1,.*"error":"timed out after [0-9.]+ s, and SIGTERM did not end it'
ok 'with all that it has started' ended '"line":2,.*"error":"timed out after [0-9.]+ s, and SIGTERM did not'
ok 'so that nothing is left of the one' wait_for fails left stubborn
ok 'nor of the other' wait_for fails left child

# abandoned WORKER INPUTS: a job of a job, which that cancels while it runs.
abandoned()
{
    printf '{"worker":"Account::AbandonWorker","inputs":{"worker":"%s","json":%s}}\n' "$@" |
        run_lines -j 2 --load "$PLUGINS/plugin.so"
}
abandoned Sleep '{"seconds":1000000}'
ok 'a sleep that is cancelled ends' count cancelled 1
ok 'well' exits 0
abandoned Exec '{"argv":["sleep","1000000"]}'
ok 'so does a program' count cancelled 1

# ---- expires_in ----

shell 'echo late' ',"expires_in":0.01' >"$dir/late"
gated <"$dir/late"
ok 'a job that cannot begin in time expires' wait_for says ':2: Exec expired: it had not begun in time$'
open_gate
ok 'and never runs' ended '"line":2,.*"outcome":"expired","attempts":0,"error":null,"output":""'
ok 'it is counted' count expired 1
ok 'and the run is none of the good' exits 1
"$TRESQUE" run -j 1 --summary text >"$dir/out" 2>"$dir/err" <<END
{"worker":"Sleep","inputs":{"ms":300}}
{"worker":"Noop","expires_in":0.000001}
END
ok 'the summary has a line for it' prints '^expired +1$'
{
    echo '{"worker":"Noop","expires_in":1000000}'
    echo '{"worker":"Noop","in":0.2,"expires_in":1000}'
    shell 'sleep 0.3' ',"expires_in":1000'
} | run_lines
ok 'what begins in time is not disturbed' count 'done' 3
ok 'and good' exits 0

# ---- bad lines ----

refuses 'fewer than no retries' '"retries" must be from 0 to 50000, not -1' '{"worker":"Noop","retries":-1}'
refuses 'more than there can be' '"retries" must be from 0 to 50000, not 50001' \
    '{"worker":"Noop","retries":50001}'
refuses 'half a retry' '"retries" must be an integer, not a number' '{"worker":"Noop","retries":1.5}'
refuses 'retries as a string' '"retries" must be an integer, not a string' '{"worker":"Noop","retries":"3"}'
refuses 'backoff without retries' '"backoff" is of no use without "retries"' '{"worker":"Noop","backoff":1}'
refuses 'a backoff below 0' '"backoff" must be seconds, at least 0 and at most 315360000 .*, not -0.5' \
    '{"worker":"Noop","retries":1,"backoff":-0.5}'
refuses 'backoff as a list' '"backoff" must be a number, not a list' \
    '{"worker":"Noop","retries":1,"backoff":[1,2]}'
refuses 'a backoff beyond ten years' '"backoff" must be .*, not 1e\+300' \
    '{"worker":"Noop","retries":1,"backoff":1e300}'
for key in expires_in timeout; do
    refuses "$key of 0" "\"$key\" must be seconds, more than 0 and at most 315360000 .*, not 0" \
        "{\"worker\":\"Noop\",\"$key\":0}"
    refuses "$key below 0" "\"$key\" must be .*, not -5" "{\"worker\":\"Noop\",\"$key\":-5}"
    refuses "$key in milliseconds since 1970" "\"$key\" must be .*, not 1767225600000" \
        "{\"worker\":\"Noop\",\"$key\":1767225600000}"
    refuses "$key that is null" "\"$key\" must be a number, not null" "{\"worker\":\"Noop\",\"$key\":null}"
done

tap_done
