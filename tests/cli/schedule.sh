# --schedule: jobs that come again and again.
# shellcheck disable=SC2016 # the dollars are for the programs
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"
: "${PLUGINS:?say where the plugins are: PLUGINS=build-test/cli}"
file=$dir/f.json

# start [OPTION...]: with the schedule that comes in on standard input, in the background.
start()
{
    cat >"$file"
    rm -f "$dir/ended" # of the run before
    "$TRESQUE" run --summary json --output "$dir/ended" --schedule "$file" "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null &
    job=$!
}
# stop SIGNAL: that one, and its end.
stop()
{
    kill -s "$1" "$job"
    wait "$job"
    status $?
}
# written N RE: so many lines of --output are such, or more.
written()
{
    [ "$(grep -Ec -e "$2" "$dir/ended")" -ge "$1" ]
}
# complete RE: all lines of --output are such.
complete()
{
    ! grep -Ev -e "$1" "$dir/ended"
}

# ---- what it does ----

start <<'END'
[
    {"name": "tick", "every": 0.05, "worker": "Noop"},
    {"name": "say", "cron": "* * * * * *", "zone": "Europe/Berlin",
     "worker": "Exec", "inputs": {"argv": ["sh", "-c", "echo $WHO"], "env": {"WHO": "me"}}, "queue": "default"},
    {"name": "never", "cron": "0 0 29 2 *", "worker": "Noop", "end": "2001-01-01T00:00:00Z"}
]
END
ok 'what is to come every so often comes again and again' \
    wait_for written 3 '"schedule":"tick","worker":"Noop","queue":"worker_default","outcome":"done","attempts":1'
ok 'what a cron expression says, too, with its inputs' \
    wait_for written 2 '"schedule":"say","worker":"Exec",.*"output":"me\\n"'
ok 'it goes on' kill -0 "$job"
stop TERM
ok 'a signal ends it, and that is good' exits 0
ok 'what was left is told' says '^tresque: stopped by SIGTERM: [0-9]+ jobs? (was|were) left$'
ok 'the summary is printed' prints '^\{"enqueued":[0-9]+,'
ok 'standard input is not read: nothing else has run' complete '"schedule":"(tick|say)"'
ok 'its lines of output belong to no line of input' fails grep -q '"line"' "$dir/ended"

start <<'END'
[{"name": "bad luck", "every": 0.05, "worker": "Exec", "inputs": {"argv": ["sh", "-c", "echo oh >&2; exit 3"]}}]
END
ok 'a job that fails is told, with its entry' wait_for says "^$file: \"bad luck\": Exec died: exit status 3: oh$"
ok 'it is not tried again' wait_for written 1 '"schedule":"bad luck",.*"outcome":"dead","attempts":1'
stop INT
ok 'then the run was none of the good' exits 1

start <<'END'
[{"name": "gone", "every": 0.05, "worker": "Noop", "end": "2001-01-01T00:00:00Z"}]
END
wait "$job"
status $?
ok 'a schedule that fires no more ends by itself' exits 0
ok 'with nothing run' count enqueued 0
start <<'END'
[]
END
wait "$job"
status $?
ok 'so does an empty one' exits 0
until=$(date -d "@$(($(date +%s) + 1))" +%Y-%m-%dT%H:%M:%SZ -u)
start <<END
[{"name": "soon", "every": 0.05, "worker": "Noop", "start": 0, "end": "$until"}]
END
wait "$job"
status $?
ok 'one that has an end ends there' exits 0
ok 'when its jobs have' complete '"schedule":"soon",.*"outcome":"done"'

start -j 4 <<END
[{"name": "alone", "every": 0.01, "worker": "Exec", "no_overlap": true,
  "inputs": {"argv": ["sh", "-c", "mkdir $dir/alone && sleep 0.05 && rmdir $dir/alone"]}}]
END
wait_for written 4 '"schedule":"alone"'
stop TERM
ok 'with no_overlap no two jobs of one entry run at once' complete '"outcome":"(done|dropped)"'
ok 'which is good' exits 0

echo '{"worker":"Noop"}' >"$dir/lines"
start "$dir/lines" <<'END'
[{"name": "tick", "every": 0.05, "worker": "Noop"}]
END
ok 'lines of a file are run beside it' wait_for written 1 '"line":1,.*"outcome":"done"'
ok 'and it goes on' wait_for written 2 '"schedule":"tick"'
stop TERM
ok 'that is good when all lines have been run' exits 0

mkfifo "$dir/in"
cat >"$file" <<'END'
[{"name": "tick", "every": 0.05, "worker": "Noop"}]
END
rm -f "$dir/ended"
"$TRESQUE" run --summary json --output "$dir/ended" --schedule "$file" - <"$dir/in" >"$dir/out" 2>"$dir/err" &
job=$!
exec 9>"$dir/in"
wait_for written 2 '"schedule":"tick"'
ok 'while the input is open it fires' kill -0 "$job"
echo '{"worker":"Noop"}' >&9
ok 'and lines are run as they come' wait_for written 1 '"line":1,'
stop TERM
exec 9>&-
ok 'stopped before its end, the status is that of the signal' exits 143
echo '{"worker":"Noop","in":86400}' >"$dir/lines"
start "$dir/lines" <<'END'
[{"name": "tick", "every": 0.05, "worker": "Noop"}]
END
wait_for written 2 '"schedule":"tick"'
stop INT
ok 'so it is when a line has not been run' exits 130

start --load "$PLUGINS/plugin.so" <<'END'
[{"name": "echo", "every": 0.05, "worker": "Account::EchoWorker", "inputs": {"text": "x"}, "queue": "account_default"},
 {"name": "when", "cron": "* * * * * *", "worker": "Account::NoteWorker", "time_input": "at"},
 {"name": "kinds", "every": 0.05, "worker": "Account::NoteWorker",
  "inputs": {"null": null, "yes": true, "int": -7, "real": 0.5}},
 {"name": "texts", "every": 0.05, "worker": "Account::NoteWorker",
  "inputs": {"text": "\u00e4", "list": [1, "b"], "map": {"a": {}}}}]
END
ok 'workers may be loaded' \
    wait_for written 1 '"schedule":"echo","worker":"Account::EchoWorker","queue":"account_default",.*"output":"x"'
ok 'an input may get the time' wait_for written 1 '"schedule":"when",.*"output":"\{\\"at\\":[0-9]{10,}(\.[0-9]+)?\}"'
ok 'inputs are of every kind' wait_for written 1 \
    '"schedule":"kinds",.*"output":"\{\\"null\\":null,\\"yes\\":true,\\"int\\":-7,\\"real\\":0\.5\}"'
ok 'nested ones, too' wait_for written 1 \
    '"schedule":"texts",.*"output":"\{\\"text\\":\\"ä\\",\\"list\\":\[1,\\"b\\"\],\\"map\\":\{\\"a\\":\{\}\}\}"'
stop TERM
ok 'and good' exits 0

# ---- bad files ----

# wrong CLAIM RE TEXT: such a file is refused with such a sentence, before anything runs.
wrong()
{
    printf '%b' "$3" >"$file"
    plain run --schedule "$file"
    ok "$1" refused_file "$2"
}
refused_file()
{
    exits 2 && says "^$file:$1" && [ ! -s "$dir/out" ]
}
# entry CLAIM RE KEYS: the same of an entry with these keys and a name.
entry()
{
    wrong "$1" " \"job\": $2" "[{\"name\":\"job\",$3}]"
}
noop='"worker":"Noop"'

wrong 'what is not JSON, with its place' '3:[0-9]+: not JSON: ' '[\n{"name":"a",\n"cron":]}\n]'
wrong 'an empty file' '[0-9]+:[0-9]+: not JSON: ' ''
wrong 'half a file' '[0-9]+:[0-9]+: not JSON: ' '[{"name":"a"'
wrong 'something behind it' '[0-9]+:[0-9]+: not JSON: ' '[] []'
wrong 'a key that comes twice' '1:[0-9]+: not JSON: duplicate' '[{"name":"a","name":"b"}]'
wrong 'an object' ' an object, where a schedule is a list' '{"schedule":[]}'
wrong 'a list of no objects' ' entry 2: a string, where an entry is an object' \
    "[{\"name\":\"a\",\"every\":5,$noop},\"b\"]"
wrong 'an entry without a name' ' entry 1: "name" is missing' "[{\"every\":5,$noop}]"
wrong 'one with an empty name' ' entry 1: "name" is empty' "[{\"name\":\"\",\"every\":5,$noop}]"
wrong 'two of one name' ' "a": the name is given twice' \
    "[{\"name\":\"a\",\"every\":5,$noop},{\"name\":\"a\",\"every\":6,$noop}]"
wrong 'a name that is too long' ' "x+": ' \
    "[{\"name\":\"$(head -c 201 /dev/zero | tr '\0' x)\",\"every\":5,$noop}]"
wrong 'several faults' ' "a": "every" must be' "[{\"name\":\"a\",\"every\":0,$noop},{\"name\":\"b\",$noop}]"
ok 'are all told' says "^$file: \"b\": \"cron\" or \"every\" is missing"
entry 'an unknown key' 'unknown key "retries"; an entry has name, cron, .*, time_input$' "\"every\":5,\"retries\":5,$noop"
entry 'no worker' '"worker" is missing' '"every":5'
entry 'a worker that there is not' 'no worker Nope; there are Exec, Sleep, Noop$' '"every":5,"worker":"Nope"'
entry 'a queue that there is not' '.*nowhere.*worker_default' "\"every\":5,\"queue\":\"nowhere\",$noop"
entry 'neither cron nor every' '"cron" or "every" is missing' "$noop"
entry 'both' '"cron" and "every" are both given' "\"cron\":\"@daily\",\"every\":5,$noop"
entry 'a cron expression that is none' '.*column 3.*hour.*25' "\"cron\":\"0 25 * * *\",$noop"
entry 'one that never fires' '.*column 5.*never' "\"cron\":\"0 0 30 2 *\",$noop"
entry 'a zone that there is not' '.*Mars/Base' "\"cron\":\"@daily\",\"zone\":\"Mars/Base\",$noop"
entry 'a zone without cron' '"zone" is of no use without "cron"' "\"every\":5,\"zone\":\"Europe/Berlin\",$noop"
entry 'every 0' '"every" must be from 0.001 to 315360000 seconds .*, not 0$' "\"every\":0,$noop"
entry 'every as text' '"every" must be a number, not a string' "\"every\":\"5\",$noop"
entry 'every thousand years' '"every" must be .*, not 31536000000$' "\"every\":31536000000,$noop"
entry 'a jitter below 0' '"jitter" must be from 0 to .*, not -1$' "\"every\":5,\"jitter\":-1,$noop"
entry 'a start that is no time' '"start" must be a time such as' "\"every\":5,\"start\":\"soon\",$noop"
entry 'an end in milliseconds' '"end" is beyond the year 9999' "\"every\":5,\"end\":1767225600000,$noop"
entry 'an end before the start' '"end" is before "start"' "\"every\":5,\"start\":100,\"end\":99,$noop"
entry 'no_overlap as a number' '"no_overlap" must be true or false, not an integer' "\"every\":5,\"no_overlap\":1,$noop"
entry 'an unknown way to catch up' '"catch_up" must be once, none or all, not "some"' \
    "\"every\":5,\"catch_up\":\"some\",$noop"
entry 'inputs as a list' '"inputs" must be an object, not a list' "\"every\":5,\"inputs\":[],$noop"
entry 'an input that is missing' '.*Exec.*argv' '"every":5,"worker":"Exec"'
entry 'an input of the wrong type' '.*Sleep.*ms' '"every":5,"worker":"Sleep","inputs":{"ms":"long"}'
entry 'an argv that is none' 'Exec: argv is empty' '"every":5,"worker":"Exec","inputs":{"argv":[]}'
entry 'a zero byte' '"queue" must not contain a zero byte' "\"every\":5,\"queue\":\"a\\\\u0000\",$noop"

# unusable CLAIM RE ARGUMENT...: exit status 2, such a sentence.
unusable()
{
    claim=$1
    sentence=$2
    shift 2
    plain run "$@"
    ok "$claim" unusable_is "$sentence"
}
unusable_is()
{
    exits 2 && says "^tresque.*$1" && [ ! -s "$dir/out" ]
}
echo '[]' >"$file"
unusable 'a file that does not exist' 'cannot read .*none: No such file' --schedule "$dir/none"
unusable 'a directory' 'cannot read .*: Is a directory' --schedule "$dir"
unusable 'two schedules' '--schedule is given twice' --schedule "$file" --schedule "$file"
unusable 'an option without its argument' 'schedule needs an argument' --schedule
unusable 'an output that is the schedule' 'read from' --schedule "$file" --output "$file"
ok 'which is left as it was' test -s "$file"

tap_done
