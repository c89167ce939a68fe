# Weights, and queues that are not worked.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

# say_line WORD [QUEUE]: a job that is known by its output.
say_line()
{
    printf '{"worker":"Exec","inputs":{"argv":["echo","%s"]},"queue":"%s"}\n' "$1" "${2-default}"
}
words()
{
    sed -n 's/.*"output":"\([a-z0-9]*\)\\n".*/\1/p' "$dir/ended" | tr '\n' ' '
}

# One thread, held by the first job until all lines are in: the last one is a bad line, whose message says so.
mkfifo "$dir/gate"
{
    printf '{"worker":"Exec","inputs":{"argv":["cat","%s"]}}\n' "$dir/gate"
    say_line low1 low
    say_line plain1
    say_line plain2
    say_line low2 worker_low
    say_line urgent1 urgent
    say_line plain3
    say_line urgent2 worker_urgent
    echo 'the end'
} >"$dir/lines"
"$TRESQUE" run -j 1 --weight urgent=1000 --weight low=-5000 --output "$dir/ended" "$dir/lines" \
    >"$dir/out" 2>"$dir/err" &
job=$!
ok 'all lines are read while the first job runs' wait_for grep -q 'lines:9: ' "$dir/err"
: >"$dir/gate"
wait "$job"
ok 'jobs run strictly by the weight of their queue, and first in first out within one' \
    test "$(words)" = 'urgent1 urgent2 plain1 plain2 plain3 low1 low2 '
ok 'the queues are printed in the order of work' \
    prints '^TResque: worker_urgent, worker_default, worker_low$'

say_line here worker_default | run_lines --weight default=7
ok 'the weight of the default queue can be set, and a line may use its full name' exits 0
say_line here | run_lines --weight worker_other=7 --weight default=3
ok 'a full name in --weight is the same queue' exits 0
say_line here other | run_lines --weight worker_other=7
ok 'as its short name in a line' count 'done' 1
say_line here -5 | run_lines --weight -5=-5
ok 'a name may be odd' count 'done' 1

{
    say_line in a
    say_line out b
    say_line out
    say_line in a
} >"$dir/lines"
run --weight a=1 --weight b=2 --queues a "$dir/lines"
ok '--queues works these only' test "$(words)" = 'in in '
ok 'how many jobs were left is told' says '2 jobs were left: their queues are not worked'
ok 'they are in the output' ended '"queue":"worker_b","outcome":"dropped","attempts":0'
ok 'and the run was not good' exits 1
plain run --weight a=1 --weight b=2 --queues a,worker_default "$dir/lines"
ok 'short and full names may be mixed; those that are worked are printed' \
    prints '^TResque: worker_default, worker_a$'

{
    say_line out b
    say_line out b
    say_line out b
    say_line in a
} >"$dir/lines"
run --weight a=1 --weight b=2 --queues a --max-jobs 2 "$dir/lines"
ok 'an engine full of jobs that nobody works does not hang' exits 1
ok 'but is told' says ':3: no room'
ok 'and what was left is counted' says '2 jobs were left'

tap_done
