# One run of the program under test, and what can be claimed of it. Read with `. tests/cli/run.sh`.
#
#     run [OPTION...] FILE     leaves $dir/status, $dir/out, $dir/err and $dir/ended
#     run_lines [OPTION...]    the same with the job lines that come in on standard input
#     exits N, says RE, silent, prints RE, count KEY N    claims, for `ok`
#     refuses CLAIM RE LINE    that claim: the line is rejected
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
