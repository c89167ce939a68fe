# SIGINT and SIGTERM: the first lets running jobs finish, the second ends at once.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

# A job that says that it has begun, then waits until the gate is opened; and more behind it.
mkfifo "$dir/gate"
held()
{
    printf '{"worker":"Exec","inputs":{"argv":["sh","-c",": >%s; cat %s; echo finished"]}}\n' \
        "$dir/begun" "$dir/gate"
    yes '{"worker":"Noop"}' | head -n 12
}
held >"$dir/lines"

# start [OPTION...] INPUT: in the background, until the first job has begun.
start()
{
    rm -f "$dir/begun"
    "$TRESQUE" run -j 1 --summary json --output "$dir/ended" "$@" >"$dir/out" 2>"$dir/err" &
    job=$!
    wait_for test -e "$dir/begun"
}
end()
{
    wait "$job"
    status $?
}

for signal in INT:130 TERM:143; do
    number=${signal#*:}
    signal=${signal%:*}

    start "$dir/lines"
    kill -s "$signal" "$job"
    ok "SIG$signal: what happens now is told" wait_for says "SIG$signal: finishing what runs"
    : >"$dir/gate"
    end
    ok 'the exit status tells the signal' exits "$number"
    ok 'what was left is told' says "^tresque: stopped by SIG$signal: 12 jobs were left$"
    ok 'the job that ran has finished' ended '"outcome":"done".*"output":"finished\\n"'
    ok 'the others have not begun' test "$(grep -c '"outcome":"dropped"' "$dir/ended")" -eq 12
    ok 'the summary is printed' count 'done' 1

    start "$dir/lines"
    kill -s "$signal" "$job"
    wait_for says 'finishing what runs'
    kill -s "$signal" "$job"
    end
    ok "a second SIG$signal ends at once" exits "$number"
    # Its reader is the program of the job: gone, so that nobody opens the other end.
    unread()
    {
        ! grep -l "[c]at.$dir/gate" /proc/[0-9]*/cmdline 2>/dev/null | grep -q .
    }
    ok 'and ends the programs of its jobs' wait_for unread
done

# It fails by itself, not because of the stop.
{
    printf '{"worker":"Exec","inputs":{"argv":["sh","-c",": >%s; cat %s; echo no luck >&2; exit 3"]},"timeout":1000000}\n' \
        "$dir/begun" "$dir/gate"
} >"$dir/fails"
start "$dir/fails"
kill -s TERM "$job"
wait_for says 'finishing what runs'
: >"$dir/gate"
end
ok 'a job that fails after a signal has died' ended '"outcome":"dead","attempts":1,"error":"exit status 3: no luck"'
ok 'and that is told' says ':1: Exec died: exit status 3: no luck$'

# An input that never ends.
mkfifo "$dir/in"
rm -f "$dir/begun"
"$TRESQUE" run -j 1 --summary json --output "$dir/ended" <"$dir/in" >"$dir/out" 2>"$dir/err" &
job=$!
exec 9>"$dir/in"
held >&9
wait_for test -e "$dir/begun"
kill -s TERM "$job"
wait_for says 'finishing what runs'
: >"$dir/gate"
end
ok 'a signal ends the wait for more input' exits 143
ok 'and that is told' says 'jobs? (was|were) left, and the rest of the input was not read'
exec 9>&-

# Reading waits for room: the engine is full of what waits behind the first job.
start --max-jobs 4 "$dir/lines"
kill -s INT "$job"
wait_for says 'finishing what runs'
: >"$dir/gate"
end
ok 'a signal ends the wait for room' exits 130
ok 'with the jobs that were in memory left' says '3 jobs were left, and the rest'

# Nothing runs, and something will: tomorrow, in 292 years, at the end of the calendar.
{
    echo '{"worker":"Noop"}'
    echo '{"worker":"Noop","in":86400}'
    echo '{"worker":"Noop","in":1e300}'
    echo '{"worker":"Noop","in":9223372036854775807}'
    echo '{"worker":"Noop","at":"9999-12-31T23:59:59Z"}'
    echo '{"worker":"Noop","at":253402300799}'
} >"$dir/later"
"$TRESQUE" run --progress always --summary json --output "$dir/ended" "$dir/later" >"$dir/out" 2>"$dir/err" &
job=$!
ok 'what is scheduled is shown' wait_for says ' 1/6 .* 5 scheduled'
ok 'and waited for' kill -0 "$job"
kill -s TERM "$job"
end
ok 'a signal ends the wait for what is scheduled' exits 143
ok 'it is left' says 'stopped by SIGTERM: 5 jobs were left$'
ok 'with a line for each' test "$(grep -c '"outcome":"dropped","attempts":0' "$dir/ended")" -eq 5
ok 'and counted' count dropped 5

# Nothing runs: there is nothing to wait for.
mkfifo "$dir/in2"
"$TRESQUE" run <"$dir/in2" >"$dir/out" 2>"$dir/err" &
job=$!
exec 9>"$dir/in2"
echo bad >&9
wait_for says '^-:1: '
kill -s INT "$job"
end
ok 'an idle run ends at the first signal' exits 130
ok 'with nothing left' says 'stopped by SIGINT: 0 jobs were left'

# An input that has not even a writer yet.
mkfifo "$dir/in3"
"$TRESQUE" run "$dir/in3" >"$dir/out" 2>"$dir/err" &
job=$!
wait_for prints '^TResque'
kill -s INT "$job"
end
ok 'nor does a pipe without a writer hold it up' exits 130

tap_done
