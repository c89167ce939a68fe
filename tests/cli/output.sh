# What a run writes: the file of --output, the summaries, the bar.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

cat >"$dir/three" <<'END'
{"worker":"Exec","inputs":{"argv":["echo","x"]}}
{"worker":"Sleep","inputs":{"ms":5}}
{"worker":"Exec","inputs":{"argv":["false"]},"queue":"urgent"}
END
run --weight urgent=500 "$dir/three"
number='[0-9]+\.[0-9]{3}'
ok '--output has one line for each job that ended' test "$(wc -l <"$dir/ended")" -eq 3
ok 'id, line, worker, queue, outcome, attempts, error, output, wait_us, run_us, in this form' ended \
    "^\\{\"id\":\"[0-9a-f]+-[0-9a-f]+\",\"line\":1,\"worker\":\"Exec\",\"queue\":\"worker_default\",\"outcome\":\"done\",\"attempts\":1,\"error\":null,\"output\":\"x\\\\n\",\"wait_us\":$number,\"run_us\":$number\\}\$"
ok 'the queue is the one of the line, by its full name' ended '"queue":"worker_urgent","outcome":"dead"'
ok 'the line is that of the input' ended '"line":3,.*"outcome":"dead"'
ok 'a job without output has an empty one' ended '"worker":"Sleep".*"output":"","wait_us"'

key='"[a-z_]+":[0-9.]+'
spans="\\{\"p50\":$number,\"p99\":$number,\"p999\":$number,\"max\":$number\\}"
ok '--summary json prints one line' test "$(wc -l <"$dir/out")" -eq 1
ok 'an object of counts and times' prints "^\\{($key,)+\"wait_us\":$spans,\"run_us\":$spans\\}\$"
printf '%s ' enqueued duplicate debounced 'done' skipped failed retried dead discarded expired cancelled \
    replaced merged dropped rejected elapsed_s jobs_per_s wait_us run_us >"$dir/keys.expected"
grep -o '"[a-z_]*":[0-9{]' "$dir/out" | sed 's/"\([a-z_]*\)".*/\1/' | grep -v '^max$' | tr '\n' ' ' >"$dir/keys"
ok 'with these keys' same "$dir/keys.expected" "$dir/keys"
ok 'done counts the jobs that ended well' count 'done' 2
ok 'dead those that died' count dead 1
ok 'failed the attempts that failed' count failed 1
ok 'enqueued all' count enqueued 3

plain run --weight urgent=500 "$dir/three"
ok 'the text summary begins with the queues in the order of work' \
    test "$(head -n 1 "$dir/out")" = 'TResque: worker_urgent, worker_default'
ok 'and tells the counts' prints '^done +2$'
ok 'the dead' prints '^dead +1$'
ok 'the speed' prints '^elapsed .* s, .* jobs/s$'
ok 'the times' prints '^run +[0-9.]+ (ns|us|ms|s )'
plain run --summary none --weight urgent=500 "$dir/three"
ok '--summary none prints nothing' test ! -s "$dir/out"
plain run --summary json --output - "$dir/three" --weight urgent=500
ok '--output - is standard output' prints '^\{"id":.*"worker":"Sleep"'
ok 'and the summary is still the last line' count enqueued 3

echo 'old' >"$dir/ended"
run "$dir/three" --weight urgent=500
ok 'an older output is replaced' fails grep -q old "$dir/ended"

yes '{"worker":"Noop"}' | head -n 5000 >"$dir/many"
plain run --summary json --output /dev/full "$dir/many"
ok 'a full disk is told' says 'cannot write /dev/full: No space left on device'
ok 'once' test "$(grep -c 'No space' "$dir/err")" -eq 1
ok 'the jobs run all the same' count 'done' 5000
ok 'exit status 1' exits 1
"$TRESQUE" run --summary json "$dir/many" >/dev/full 2>"$dir/err"
status $?
ok 'a summary that cannot be written is told' says 'standard output'
ok 'exit status 1' exits 1
"$TRESQUE" run --summary json --output - "$dir/many" 2>"$dir/err" | head -n 1 >"$dir/out"
ok 'a reader that goes away does not kill the run' says 'cannot write standard output: Broken pipe'

plain run --progress always "$dir/many"
ok '--progress always shows counts on standard error' says '\[#+\] 5000/5000'
plain run --progress never "$dir/many"
ok '--progress never does not' silent
plain run --progress auto "$dir/many"
ok 'auto does not where there is no terminal' silent
yes bad | head -n 3 | "$TRESQUE" run --progress always >"$dir/out" 2>"$dir/err"
ok 'a message does not run into the bar' test "$(tr '\r' '\n' <"$dir/err" | grep -Ec '(^|K)-:[123]: not JSON')" -eq 3

# Descriptors 0 to 2 that are closed must not be taken by files of ours.
"$TRESQUE" run --summary json --output "$dir/ended" "$dir/three" --weight urgent=500 <&- >&- 2>&-
ok 'standard files that are closed spoil nothing' test "$(grep -c '^{"id":' "$dir/ended")" -eq 3

tap_done
