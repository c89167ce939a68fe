# The worker Exec: what the program is given, what is kept of its output, how it fails.
# shellcheck disable=SC2016 # the dollars are for the programs
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

# exec_argv ARGV-JSON [MORE-INPUTS-JSON]: one job.
exec_argv()
{
    printf '{"worker":"Exec","inputs":{"argv":%s%s}}\n' "$1" "${2-}" | run_lines
}

exec_argv '["printf","%s|","one"," two\\n","ä","\"","$HOME",""]'
ok 'argv goes to the program word by word, through no shell' \
    ended '"output":"one\| two\\\\n\|ä\|\\"\|\$HOME\|\|"'

exec_argv '["pwd"]' ',"cwd":"/usr"'
ok 'cwd is where it runs' ended '"output":"/usr\\n"'
exec_argv '["true"]' ",\"cwd\":\"$dir/none\""
ok 'a directory that does not exist is named' \
    ended '"error":"cannot enter directory .*/none: No such file or directory"'

GIVEN=before KEPT=kept
export GIVEN KEPT
exec_argv '["sh","-c","echo $GIVEN,$ADDED,$KEPT"]' ',"env":{"GIVEN":"after","ADDED":"new"}'
ok 'env replaces and adds, and the rest stays' ended '"output":"after,new,kept\\n"'

exec_argv '["cat"]' ',"stdin":"some text\nand more"'
ok 'stdin is what it reads' ended '"output":"some text\\nand more"'
exec_argv '["cat"]'
ok 'without stdin it reads nothing' ended '"outcome":"done".*"output":""'

# More than a pipe holds, both ways at once.
{
    printf '{"worker":"Exec","inputs":{"argv":["sh","-c","tee /dev/stderr | wc -c"],"stdin":"'
    head -c 60000 /dev/zero | tr '\0' 'x'
    printf '"}}\n'
} | run_lines
ok 'a program that writes while it reads does not hang' ended '"output":" *60000\\n"'
{
    printf '{"worker":"Exec","inputs":{"argv":["true"],"stdin":"'
    head -c 60000 /dev/zero | tr '\0' 'x'
    printf '"}}\n'
} | run_lines
ok 'a program that does not read its input ends well' exits 0

exec_argv '["sh","-c","echo first >&2; echo last >&2; echo >&2; exit 3"]'
ok 'an exit status other than 0 is a failure, with the last line of stderr' \
    ended '"outcome":"dead","attempts":1,"error":"exit status 3: last"'
ok 'it is told with its line' says "^$dir/lines:1: Exec died: exit status 3: last$"
ok 'a job that died: exit status 1' exits 1
ok 'it counts as dead' count dead 1
ok 'and as a failed attempt' count failed 1
exec_argv '["false"]'
ok 'without stderr the status is all' ended '"error":"exit status 1"'
exec_argv '["sh","-c","echo warning >&2"]'
ok 'a program that only warns ends well' ended '"outcome":"done","attempts":1,"error":null'
exec_argv '["sh","-c","head -c 5000 /dev/zero | tr \"\\\\0\" e >&2; exit 1"]'
ok 'a long last line is cut' ended '"error":"exit status 1: e{100,251}"'

exec_argv '["sh","-c","kill -9 $$"]'
ok 'a signal that killed it is named' ended '"error":"killed by signal 9 \(Killed\)"'
exec_argv '["no-such-program"]'
ok 'a program that is not there is named' \
    ended '"error":"cannot run no-such-program: no such program in PATH"'
exec_argv '["./no-such-program"]'
ok 'also by its path' ended '"error":"cannot run ./no-such-program: No such file or directory"'
: >"$dir/plain-file"
exec_argv "[\"$dir/plain-file\"]"
ok 'a file that cannot be run is named' ended '"error":"cannot run .*/plain-file: Permission denied"'

exec_argv '["sh","-c","head -c 1000000 /dev/zero | tr \"\\\\0\" x"]'
ok 'the first 64 KiB of output are kept' ended '"output":"x{32767}x{32767}xx"'
ok 'and how much was cut is told' ended '"output_cut":934464'
ok 'the program is not disturbed' count 'done' 1
exec_argv '["sh","-c","head -c 65536 /dev/zero | tr \"\\\\0\" x"]'
ok '64 KiB are not cut' fails grep -q output_cut "$dir/ended"

exec_argv '["printf","\\377\\001\\303\\244"]'
ok 'output that is not UTF-8 is told as U+FFFD, control characters as escapes' \
    ended "\"output\":\"$(printf '\357\277\275')"'\\u0001ä"'

# What is open, blocked or ignored here is the business of whoever started us; what is ours must not show.
sh -c 'ls /proc/self/fd | wc -l' >"$dir/fds"
exec_argv '["sh","-c","ls /proc/self/fd | wc -l"]'
ok 'it inherits no descriptor of ours' ended "\"output\":\" *$(cat "$dir/fds")\\\\n\""
exec_argv '["grep","-E","^Sig(Blk|Ign)","/proc/self/status"]'
# 32 and 33 are the C library's own: nobody can reset them.
ok 'it has no signal blocked and none ignored' \
    ended 'SigBlk:\\t0000000000000000\\nSigIgn:\\t0000000[01][08]0000000\\n'
exec_argv '["sh","-c","yes | head -n 1"]'
ok 'so that a broken pipe ends a program' ended '"outcome":"done".*"output":"y\\n"'

# It would keep the pipes open for a week.
exec_argv '["sh","-c","sleep 604800 & echo $!"]'
ok 'what a program leaves in the background does not hold its job' ended '"outcome":"done"'
kill "$(sed 's/.*"output":"\([0-9]*\).*/\1/' "$dir/ended")"
exec_argv '["sh","-c","exec >&- 2>&-; exit 4"]'
ok 'a program that closes its output is still waited for' ended '"error":"exit status 4"'

yes '{"worker":"Exec","inputs":{"argv":["echo","hello"]}}' | head -n 500 | run_lines -j 8
ok '500 programs, 8 at once' count 'done' 500
ok 'each with its own output' test "$(grep -c '"output":"hello\\n"' "$dir/ended")" -eq 500

yes '{"worker":"Exec","inputs":{"argv":["echo","hello"]}}' | head -n 200 >"$dir/lines"
# shellcheck disable=SC3045 # every sh that Debian can have as /bin/sh knows it
(ulimit -n 40 && run -j 32 "$dir/lines")
ok 'with fewer descriptors than 32 programs need, all 200 run all the same' count 'done' 200

tap_done
