# Lines of input: which are jobs, and what is said of those that are none.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

echo '{"worker":"Exec","inputs":{"argv":["printf","%s","a b"]},"queue":"default"}' | run_lines
ok 'a line with worker, inputs and queue is a job' ended '"outcome":"done".*"output":"a b"'
ok 'all jobs ended well: exit status 0' exits 0
ok 'then nothing is said' silent

printf '\n  \t\n{"worker":"Noop"}\r\n\r\n {"worker" : "Noop"} ' | run_lines
ok 'blank lines and white space are skipped, the last line needs no newline' count enqueued 2
ok 'they are no bad lines' count rejected 0

printf 'x\n\n{"worker":"Noop"}\n[]\n' >"$dir/bad.jsonl"
run "$dir/bad.jsonl"
ok 'a bad line is told as FILE:LINE: what is wrong' says "^$dir/bad\.jsonl:1: not JSON: .+"
ok 'blank lines count as lines' says "^$dir/bad\.jsonl:4: .+"
ok 'the lines after a bad one are jobs' count 'done' 1
ok 'bad lines are counted' count rejected 2
ok 'a rejected line: exit status 1' exits 1

"$TRESQUE" run --summary none <"$dir/bad.jsonl" 2>"$dir/err"
ok 'standard input is called -' says '^-:1: not JSON'
"$TRESQUE" run --summary none - <"$dir/bad.jsonl" 2>"$dir/err"
ok 'and may be named -' says '^-:4: '

refuses 'an unknown key is named' '"priority"' '{"worker":"Noop","priority":3}'
ok 'with the keys that there are' says 'a job has worker, inputs, .*, on_conflict, .*, timeout$'
refuses 'a worker is required' '"worker" is missing' '{"inputs":{}}'
refuses 'the worker must be a string' '"worker" must be a string, not an integer' '{"worker":7}'
refuses 'inputs must be an object' '"inputs" must be an object, not a list' \
    '{"worker":"Noop","inputs":[]}'
refuses 'the queue must be a string' '"queue" must be a string, not null' \
    '{"worker":"Noop","queue":null}'
refuses 'a list is no job' 'a list, where' '["Noop"]'
refuses 'a string is no job' 'a string, where' '"Noop"'
refuses 'a key that comes twice is refused' 'duplicate' '{"worker":"Noop","worker":"Exec"}'
refuses 'also inside the inputs' 'duplicate' '{"worker":"Noop","inputs":{"a":{"b":1,"b":2}}}'
refuses 'what is not UTF-8 is refused' 'not JSON' '{"worker":"Noop","inputs":{"a":"\0377"}}'
refuses 'half of a line is refused' 'not JSON' '{"worker":"Noop"'
refuses 'something after the object is refused' 'not JSON' '{"worker":"Noop"} 1'
refuses 'an integer beyond 64 bits is refused' 'integer' \
    '{"worker":"Noop","inputs":{"n":9223372036854775808}}'
refuses 'a zero byte in a name is refused' 'zero byte' '{"worker":"No\\u0000op"}'
refuses 'a zero byte in the line is refused' 'not JSON' '{"worker":\0000"Noop"}'
refuses 'an unknown worker is refused, with those that there are' 'Nope.*Exec.*Noop' \
    '{"worker":"Nope"}'
refuses 'an unknown queue is refused, with those that there are' 'nowhere.*worker_default' \
    '{"worker":"Noop","queue":"nowhere"}'
refuses 'a missing input is refused, with worker and input' 'Exec.*argv' '{"worker":"Exec"}'
refuses 'an input of the wrong type is refused, with worker and input' 'Sleep.*ms' \
    '{"worker":"Sleep","inputs":{"ms":"long"}}'
refuses 'argv must not be empty' 'Exec: argv' '{"worker":"Exec","inputs":{"argv":[]}}'
refuses 'argv must be a list' 'Exec: argv' '{"worker":"Exec","inputs":{"argv":"ls"}}'
refuses 'argv holds strings only' 'Exec: argv' '{"worker":"Exec","inputs":{"argv":["ls",1]}}'
refuses 'argv holds no zero byte' 'Exec: argv' \
    '{"worker":"Exec","inputs":{"argv":["ls","\\u0000"]}}'
refuses 'env holds strings only' 'Exec: env' \
    '{"worker":"Exec","inputs":{"argv":["ls"],"env":{"A":1}}}'
refuses 'a name in env holds no =' 'Exec: env' \
    '{"worker":"Exec","inputs":{"argv":["ls"],"env":{"A=B":"1"}}}'
refuses 'a message cannot steer the terminal' 'no worker \?\[31m' '{"worker":"\\u001b[31m"}'

{
    printf '{"worker":"Noop","inputs":{"a":'
    head -c 100 /dev/zero | tr '\0' '['
    head -c 100 /dev/zero | tr '\0' ']'
    printf '}}\n'
    head -c 1000000 /dev/zero | tr '\0' '['
    printf '\n{"worker":"Noop"}\n'
} | run_lines
ok 'nesting beyond 64 is refused' says ':1: '
ok 'a megabyte of brackets is refused' says ':2: not JSON'
ok 'and the next line runs' count 'done' 1

{
    printf '{"worker":"Noop","inputs":{"a":"'
    head -c 200000 /dev/zero | tr '\0' 'a'
    printf '"}}\n{"worker":"Noop"}\n'
} | run_lines
ok 'inputs above 64 KiB are refused' refused ''

{
    head -c 5000000 /dev/zero | tr '\0' ' '
    printf '\n{"worker":"Noop"}\n'
    head -c 5000000 /dev/zero | tr '\0' ' '
} | run_lines
ok 'a line above 1 MiB is told' says ':1: the line is longer than 1048576 bytes'
ok 'also as the last one, without a newline' says ':3: the line is longer'
ok 'each once' count rejected 2
ok 'and the line between runs' count 'done' 1

printf '%s\n' '{"worker":"Noop"}' bad '{"worker":"Noop"}' worse | run_lines --strict
ok '--strict stops at the first bad line' count rejected 1
ok 'what came before it still ends' count 'done' 1
ok 'what comes after it does not run' count enqueued 1
ok 'a bad line with --strict: exit status 1' exits 1
printf '%s\n' '{"worker":"Noop","queue":"nowhere"}' '{"worker":"Noop"}' | run_lines --strict
ok '--strict stops where the engine refuses, too' count enqueued 0

run /dev/null
ok 'an empty input is a good run' exits 0
ok 'with no job' count enqueued 0

# The first job must run while the input goes on: its answer is what ends the input.
mkfifo "$dir/in" "$dir/answer"
"$TRESQUE" run --summary json --output "$dir/ended" <"$dir/in" >"$dir/out" 2>"$dir/err" &
job=$!
exec 9>"$dir/in"
printf '{"worker":"Exec","inputs":{"argv":["sh","-c","echo here >%s"]}}\n' "$dir/answer" >&9
read -r answer <"$dir/answer"
ok 'a job runs while the input is still open' test "$answer" = here
written()
{
    grep -q '"outcome":"done"' "$dir/ended"
}
ok 'its line is written while the input is still open' wait_for written
printf '{"worker":"Noop"}\n' >&9
exec 9>&-
wait "$job"
status $?
ok 'the run ends with its input' exits 0
ok 'and has run all of it' count 'done' 2

yes '{"worker":"Noop"}' | head -n 100000 | "$TRESQUE" run --summary json --output "$dir/ended" \
    >"$dir/out" 2>"$dir/err"
ok '100,000 jobs end' count 'done' 100000
ok 'with a line for each' test "$(wc -l <"$dir/ended")" -eq 100000
ok 'whole lines' fails grep -Evq '^\{"id":"[^"]+",.*\}$' "$dir/ended"
ok 'and an id for each' test "$(sed 's/,.*//' "$dir/ended" | sort -u | wc -l)" -eq 100000

yes '{"worker":"Noop"}' | head -n 20000 | run_lines --max-jobs 8
ok 'reading waits while the engine is full: 20,000 jobs, 8 in memory at once' count 'done' 20000

tap_done
