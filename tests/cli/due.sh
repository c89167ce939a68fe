# When jobs are due: the keys "at" and "in".
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

# due KEY VALUE: a job that does nothing then.
due()
{
    printf '{"worker":"Noop","%s":%s}\n' "$1" "$2"
}

{
    due at '"2026-01-01T00:00:00Z"'
    due at '"2026-01-01t00:00:00z"'
    due at '"2026-01-01 00:00:00.25Z"'
    due at '"2026-01-01T00:00:00.123456789012+05:30"'
    due at '"1906-01-01T00:00:00-23:59"'
    due at '"0000-01-01T00:00:00Z"'
    due at 1767225600
    due at 1767225600.5
    due at 0
    due at -1e300
    due at -9223372036854775808
} | run_lines
ok 'a time that is over means now, in every form' count 'done' 11
ok 'and is no fault' silent
{
    due in 0
    due in 0.0
    due in -5
    due in -1e300
    due in 0.01
} | run_lines
ok 'so does a wait of nothing, or less' count 'done' 5
ok 'and is no fault' silent

# later SECONDS: so much from now, since 1970.
later()
{
    date +%s.%N | awk -v later="$1" '{printf "%.6f\n", $1 + later}'
}
# not_before TIME: the job printed a time that is not earlier.
not_before()
{
    sed -n 's/.*"output":"\([0-9.]*\)\\n".*/\1/p' "$dir/ended" | awk -v due="$1" '{exit !($1 >= due)}' ||
        shown
}
clock='"worker":"Exec","inputs":{"argv":["date","+%s.%N"]}'

due=$(later 0.2)
echo "{$clock,\"at\":$due}" | run_lines
ok 'a job runs at its time in seconds since 1970' ended '"outcome":"done"'
ok 'not before' not_before "$due"
ok 'and that was a good run' exits 0
due=$(later 0.2)
zone=$(date -d "@$due" +%Y-%m-%dT%H:%M:%S.%6N%:z)
echo "{$clock,\"at\":\"$zone\"}" | run_lines
ok 'or at its date and time' ended '"outcome":"done"'
ok 'not before' not_before "$due"
due=$(later 0.2)
zone=$(TZ=Asia/Kathmandu-5:45 date -d "@$due" +%Y-%m-%dT%H:%M:%S.%6N%:z)
echo "{$clock,\"at\":\"$zone\"}" | run_lines
ok 'of any place' not_before "$due"
due=$(later 0.2)
echo "{$clock,\"in\":0.2}" | run_lines
ok 'or after its seconds' ended '"outcome":"done"'
ok 'not before' not_before "$due"

{
    due in 0.3
    due in 0.2
    due in 0.1
    due in 0.05
    echo '{"worker":"Noop"}'
} | run_lines
ok 'a run ends when all that was scheduled has ended' count 'done' 5
ok 'with a line for each, which names its line of input' \
    test "$(grep -o '"line":[0-9]*' "$dir/ended" | sort | tr '\n' ' ')" = \
    '"line":1 "line":2 "line":3 "line":4 "line":5 '

yes '{"worker":"Noop","in":0.02}' | head -n 40 | run_lines --max-jobs 4
ok 'reading waits for what is scheduled where there is no room' count 'done' 40

{
    echo '{"worker":"Noop","queue":"b","in":0.1}'
    echo '{"worker":"Noop","queue":"b"}'
    echo '{"worker":"Noop","queue":"a","in":0.1}'
} >"$dir/lines"
run --weight a=1 --weight b=2 --queues a "$dir/lines"
ok 'one that becomes due in a queue that is not worked is left' says '2 jobs were left: their queues'
ok 'the others have run' count 'done' 1
run --weight a=1 --weight b=2 --queues a --max-jobs 1 "$dir/lines"
ok 'and once it is due it leaves no room' says ':2: no room'

refuses 'both keys' '"at" and "in" are both given' '{"worker":"Noop","at":0,"in":0}'
refuses 'at is a string or a number' '"at" must be a string or a number, not null' \
    '{"worker":"Noop","at":null}'
refuses 'in is a number' '"in" must be a number, not a string' '{"worker":"Noop","in":"5"}'
refuses 'a time has a form' '"at" must be a time such as 2026-12-31T23:59:59Z: "tomorrow"' \
    '{"worker":"Noop","at":"tomorrow"}'
refuses 'and an offset' '"at" has no offset: .*: "2026-12-31T23:59:59"' \
    '{"worker":"Noop","at":"2026-12-31T23:59:59"}'
refuses 'a month that there is not' '"at" has no such month' \
    '{"worker":"Noop","at":"2026-13-01T00:00:00Z"}'
refuses 'a day that there is not' '"at" has no such day' \
    '{"worker":"Noop","at":"2026-02-29T00:00:00Z"}'
refuses 'an hour that there is not' '"at" has no such hour' \
    '{"worker":"Noop","at":"2026-01-01T24:00:00Z"}'
refuses 'a leap second' '"at" has no such second .leap' \
    '{"worker":"Noop","at":"2016-12-31T23:59:60Z"}'
refuses 'an offset that there is not' '"at" has no such offset' \
    '{"worker":"Noop","at":"2026-01-01T00:00:00+24:00"}'
refuses 'seconds as a string' '"at" must be a time such as' '{"worker":"Noop","at":"1767225600"}'
refuses 'milliseconds for seconds' '"at" is beyond the year 9999' \
    '{"worker":"Noop","at":1767225600000}'
refuses 'the first second of the year 10000' '"at" is beyond' '{"worker":"Noop","at":253402300800}'
refuses 'a number beyond a double' 'not JSON' '{"worker":"Noop","in":1e999}'
refuses 'a zero byte in a time' '"at" must not contain a zero byte' \
    '{"worker":"Noop","at":"2026-01-01T00:00:00Z\\u0000"}'

tap_done
