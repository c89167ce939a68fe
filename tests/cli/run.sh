# One run of the program under test, and what can be claimed of it. Read with `. tests/cli/run.sh`.
#
#     run [OPTION...] FILE     leaves $dir/status, $dir/out, $dir/err and $dir/ended
#     run_lines [OPTION...]    the same with the job lines that come in on standard input
#     exits N, says RE, silent, prints RE, count KEY N    claims, for `ok`
#     refuses CLAIM RE LINE    that claim: the line is rejected
#     run_gated [OPTION...]    as run_lines; no job begins before all lines have been read
# shellcheck shell=sh

: "${TRESQUE:?say where the program is: TRESQUE=build/cli/tresque}"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/tests/tap.sh"
dir=$tap_dir

# status N: that was the exit status. In a file, since a pipe's end cannot set a variable of ours.
status()
{
    echo "$1" >"$dir/status"
}

run()
{
    "$TRESQUE" run --summary json --output "$dir/ended" "$@" >"$dir/out" 2>"$dir/err"
    status $?
}

# shellcheck disable=SC2120 # not every script has options for it
run_lines()
{
    cat >"$dir/lines"
    run "$@" "$dir/lines"
}

# plain ARGUMENT...: the program with these arguments and nothing else.
plain()
{
    "$TRESQUE" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status $?
}

shown()
{
    echo "exit status $(cat "$dir/status" 2>&1)"
    head -c 2000 "$dir/out" "$dir/err"
    return 1
}

exits()
{
    [ "$(cat "$dir/status")" -eq "$1" ] || shown
}

# says RE: there is such a line on standard error.
says()
{
    grep -Eq -e "$1" "$dir/err" || shown
}

silent()
{
    [ ! -s "$dir/err" ] || shown
}

prints()
{
    grep -Eq -e "$1" "$dir/out" || shown
}

# count KEY N: the JSON summary, which is the last line, says so.
count()
{
    tail -n 1 "$dir/out" | grep -Eq "[{,]\"$1\":$2[,}]" || shown
}

# ended RE: there is such a line in the file of --output.
ended()
{
    grep -Eq -e "$1" "$dir/ended" || { head -c 2000 "$dir/ended" && shown; }
}

# refuses CLAIM RE LINE: such a line is rejected with such a sentence, and the next one runs.
refuses()
{
    printf '%b\n{"worker":"Noop"}\n' "$3" | run_lines
    ok "$1" refused "$2"
}
refused()
{
    says ":1: .*$1" && exits 1 && count rejected 1 && count 'done' 1
}

# gated [OPTION...]: in the background, one thread that line 1 holds until open_gate; until the job lines that come in
# on standard input, from line 2, have been read. That is told by the message about a bad last line.
gated()
{
    [ -p "$dir/gate" ] || mkfifo "$dir/gate"
    {
        printf '{"worker":"Exec","inputs":{"argv":["cat","%s"]}}\n' "$dir/gate"
        cat
        echo 'the end'
    } >"$dir/lines"
    "$TRESQUE" run -j 1 --summary json --output "$dir/ended" "$@" "$dir/lines" >"$dir/out" 2>"$dir/err" &
    job=$!
    wait_for grep -q "lines:$(wc -l <"$dir/lines"): not JSON" "$dir/err"
}
open_gate()
{
    : >"$dir/gate"
    wait "$job"
    status $?
}
run_gated()
{
    gated "$@"
    open_gate
}

# outcome_of LINE, id_of LINE, twin_of LINE: as the file of --output has it.
outcome_of()
{
    sed -n "s/.*\"line\":$1,.*\"outcome\":\"\([a-z]*\)\".*/\1/p" "$dir/ended"
}
id_of()
{
    sed -n "s/^{\"id\":\"\([0-9a-f-]*\)\",\"line\":$1,.*/\1/p" "$dir/ended"
}
twin_of()
{
    sed -n "s/.*\"line\":$1,.*\"twin\":\"\([0-9a-f-]*\)\"}/\1/p" "$dir/ended"
}

# came_to LINE OUTCOME: and in no second line of the output.
came_to()
{
    [ "$(outcome_of "$1")" = "$2" ] || { head -c 2000 "$dir/ended" && shown; }
}
# has_twin LINE OTHER: its twin is the job of that line.
has_twin()
{
    { [ -n "$(id_of "$2")" ] && [ "$(twin_of "$1")" = "$(id_of "$2")" ]; } ||
        { head -c 2000 "$dir/ended" && shown; }
}

# same A B: the files are equal.
same()
{
    cmp "$1" "$2" || { head -c 2000 "$1" "$2" && return 1; }
}

# wait_for COMMAND...: until it succeeds; gives up after a minute.
wait_for()
{
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 1200 ] || shown || return 1
        sleep 0.05
    done
}
