# The last line of a test run is true whatever the programs did.
# shellcheck shell=sh
set -u
root=$1
. "$root/tests/tap.sh"

project=$tap_dir/project
mkdir "$project"
cat >"$project/meson.build" <<'EOF'
project('seeded')
sh = find_program('sh')
test('good', sh, args: ['-c', 'echo ok 1 - a; echo ok 2 - b; echo 1..2'],
    protocol: 'tap', suite: 'pass')
test('skips', sh, args: ['-c', 'echo "ok 1 - a # SKIP no"; echo ok 2 - b; echo 1..2'],
    protocol: 'tap', suite: 'pass')
test('status', sh, args: ['-c', 'exit 0'], suite: 'pass')
test('fails', sh, args: ['-c', 'echo ok 1 - a; echo not ok 2 - b; echo 1..2; exit 1'],
    protocol: 'tap', suite: 'bad')
test('crashes', sh, args: ['-c', 'echo ok 1 - a; kill -SEGV $$'], protocol: 'tap', suite: 'bad')
test('crashes_at_the_end', sh, args: ['-c', 'echo ok 1 - a; echo 1..1; kill -ABRT $$'],
    protocol: 'tap', suite: 'bad')
test('ends_early', sh, args: ['-c', 'echo 1..4; echo ok 1 - a'], protocol: 'tap', suite: 'bad')
test('says_no_plan', sh, args: ['-c', 'echo ok 1 - a'], protocol: 'tap', suite: 'bad')
test('says_nothing', sh, args: ['-c', ':'], protocol: 'tap', suite: 'bad')
test('has_no_cases', sh, args: ['-c', 'echo 1..0'], protocol: 'tap', suite: 'bad')
test('excused', sh, args: ['-c', 'echo "1..0 # SKIP no time"'], protocol: 'tap', suite: 'pass')
test('leaks', sh, args: ['-c', 'echo ok 1 - a; echo 1..1; echo "==7==ERROR: LeakSanitizer: x" >&2'],
    protocol: 'tap', suite: 'bad')
test('hangs', sh, args: ['-c', 'echo ok 1 - a; exec sleep 60'], protocol: 'tap', timeout: 1,
    suite: 'bad')
test('bad_status', sh, args: ['-c', 'exit 3'], suite: 'bad')
EOF

# tallied STATUS LINE NAME...: a run of these ends with that line and exit status.
tallied()
{
    wanted="$1:$2"
    shift 2
    python3 "$root/tests/house/tally.py" "$project/build" "$@" >"$tap_dir/run" 2>&1
    got="$?:$(tail -n 1 "$tap_dir/run")"
    [ "$got" = "$wanted" ] || { cat "$tap_dir/run"; echo "wanted $wanted"; false; }
}

ok 'the seeded project configures' meson setup "$project/build" "$project"
ok 'passed cases are counted one by one' tallied 0 '4 passed, 0 failed' pass
ok 'a test is chosen by its name' tallied 0 '2 passed, 0 failed' good
ok 'a failed case' tallied 1 '1 passed, 1 failed' fails
ok 'a crash' tallied 1 '1 passed, 1 failed' crashes
ok 'a crash after the plan' tallied 1 '1 passed, 1 failed' crashes_at_the_end
ok 'cases that never came' tallied 1 '1 passed, 3 failed' ends_early
ok 'a program that forgot its plan' tallied 1 '1 passed, 1 failed' says_no_plan
ok 'a program that said nothing' tallied 1 '0 passed, 1 failed' says_nothing
ok 'a program without cases' tallied 1 '0 passed, 1 failed' has_no_cases
ok 'a leak that the program itself does not see' tallied 1 '1 passed, 1 failed' leaks
ok 'a hung program' tallied 1 '1 passed, 1 failed' hangs
ok 'an exit status' tallied 1 '0 passed, 1 failed' bad_status
ok 'all together' tallied 1 '11 passed, 12 failed'
ok 'a name that is none' tallied 1 '0 passed, 1 failed' nonsense
rm -rf "$project/build"
ok 'no build directory' tallied 1 '0 passed, 1 failed'
tap_done
