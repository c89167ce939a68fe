# One example, run, and what it says compared with what it should say.
# Usage: run.sh ROOT EXPECTED COMMAND...
# shellcheck shell=sh
set -u
root=$1
expected=$2
shift 2
# shellcheck source=tests/tap.sh
. "$root/tests/tap.sh"

says_so()
{
    "$@" >"$tap_dir/said" 2>"$tap_dir/complained"
    status=$?
    cat "$tap_dir/complained"
    diff -u "$expected" "$tap_dir/said" || return 1
    [ "$status" -eq 0 ] || { echo "exit status $status"; false; }
}

name=${expected##*/}
ok "${name%.expected} says what it should" says_so "$@"
tap_done
