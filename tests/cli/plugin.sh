# Workers of the user's own: --load.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"
: "${PLUGINS:?say where the plugins are: PLUGINS=build-test/cli}"
plugin=$PLUGINS/plugin.so

echo '{"worker":"Account::EchoWorker","inputs":{"text":"hello"}}' | run_lines --load "$plugin"
ok 'a loaded worker runs' count 'done' 1
ok 'in its own queue, and its result is the output' \
    ended '"worker":"Account::EchoWorker","queue":"account_refresh".*"output":"hello"'

{
    echo '{"worker":"Account::EchoWorker"}'
    echo '{"worker":"Account::EchoWorker","inputs":{"text":5}}'
    echo '{"worker":"Account::NeverWorker"}'
    echo '{"worker":"Account::GiveUpWorker"}'
    echo '{"worker":"Account::EchoWorker","inputs":{"text":"x"},"queue":"default"}'
    echo '{"worker":"Account::EchoWorker","inputs":{"text":"x"},"queue":"worker_default"}'
    echo '{"worker":"AloneWorker","inputs":{"text":"y"}}'
    echo '{"worker":"Exec","inputs":{"argv":["true"]},"queue":"account_refresh"}'
} | run_lines --load "$plugin"
ok 'its declared inputs are checked' says ':1: .*text'
ok 'with their types' says ':2: .*text'
ok 'needed is asked' count skipped 1
ok 'it may discard' count discarded 1
ok 'which is told' says ':4: Account::GiveUpWorker was discarded: no such account'
ok 'a short queue name is one of its application' \
    ended '"worker":"Account::EchoWorker","queue":"account_default"'
ok 'a full one is any' ended '"worker":"Account::EchoWorker","queue":"worker_default"'
ok 'also for Exec' ended '"worker":"Exec","queue":"account_refresh"'
ok 'a worker of no application is one of application worker' \
    ended '"worker":"AloneWorker","queue":"worker_default"'

echo '{"worker":"Account::ParentWorker"}' | run_lines --load "$plugin"
ok 'what a job enqueues is run, too' count 'done' 2
ok 'and is no business of --output' test "$(wc -l <"$dir/ended")" -eq 1

echo '{"worker":"Account::PlannerWorker"}' | run_lines --load "$plugin"
ok 'what a job schedules is waited for' count 'done' 2
ok 'but for what it cancels' count cancelled 1
ok 'which is no fault' exits 0
echo '{"worker":"Account::AgainWorker"}' | run_lines --load "$plugin"
ok 'a job that is scheduled anew by itself is waited for, each time' ended '"outcome":"done"'

# once WORD KEYS: a job whose worker has a queue lock.
once()
{
    printf '{"worker":"Account::OnceWorker","inputs":{"text":"%s","user":"bob"}%s}\n' "$@"
}
{
    once a ''
    once b ''
    once a ''
    once b ',"on_conflict":"replace"'
    once b ',"queue_lock":["user"]'
} | run_gated --load "$plugin"
ok 'the lock of a worker is obeyed' has_twin 4 2
ok 'on_conflict is about that, too' has_twin 3 5
ok 'a lock of the line stands in its place' came_to 6 'done'
echo '{"worker":"Account::EchoWorker","inputs":{"text":"x"},"on_conflict":"keep"}' |
    run_lines --load "$plugin"
ok 'where there is none on_conflict is refused' says ':1: on_conflict without a queue lock'
{
    echo '{"worker":"Account::EchoWorker","inputs":{"text":"x","user":1},"worker_lock":["user"]}'
    echo '{"worker":"Account::EchoWorker","inputs":{"text":"x"},"worker_lock":["user"]}'
} | run_lines --load "$plugin"
ok 'a lock of the line may name inputs that the worker does not know' count 'done' 1
ok 'if the line has them' says ':2: .*input user, which a lock names'

plain run --load "$plugin" --weight account_refresh=500 /dev/null
ok '--weight raises a queue of a plugin' prints '^TResque: account_refresh, '
plain run --load "$plugin" --weight account_default=5 /dev/null
ok 'but says that it cannot lower it' says 'account_default has weight 100'
ok 'exit status 2' exits 2
echo '{"worker":"Account::EchoWorker","inputs":{"text":"x"},"queue":"new"}' |
    run_lines --load "$plugin" --weight account_new=5
ok '--weight adds a queue to an application of a plugin' count 'done' 1
plain run --load "$plugin" --queues account_refresh /dev/null
ok '--queues takes the full name of a queue of a plugin' prints '^TResque: account_refresh$'

plain run --load "$plugin" --load "$plugin" /dev/null
ok 'the same plugin twice is the same registration' exits 0

# refused CLAIM RE FILE
refused()
{
    plain run --load "$3" /dev/null
    ok "$1" told "$2"
}
told()
{
    exits 2 && says "$1"
}
refused 'a file that is not there' 'cannot load .*none.so' "$dir/none.so"
echo 'no object' >"$dir/text.so"
refused 'a file that is no shared object' 'cannot load .*text.so' "$dir/text.so"
refused 'an object without the function' 'has no function trq_plugin_init' \
    "$PLUGINS/plugin_empty.so"
refused 'a plugin that returns an error, by its name' 'returned TRQ_ECONFLICT' \
    "$PLUGINS/plugin_refusing.so"
here=$(pwd)
cd "$PLUGINS" || exit 1
plain run --load plugin.so /dev/null
ok 'a name without a slash is a file here' exits 0
cd "$here" || exit 1

tap_done
