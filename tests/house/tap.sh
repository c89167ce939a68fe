# Our own check macros fail when they must: tap.h, tap.sh, and Criterion's asserts as we use them.
# shellcheck shell=sh
set -u
root=$1
. "$root/tests/tap.sh"

said()
{
    grep -q "$1" "$tap_dir/said" || { cat "$tap_dir/said"; false; }
}

counted()
{
    n=$(grep -c "$1" "$tap_dir/said")
    [ "$n" -eq "$2" ] || { echo "$n lines of $1"; cat "$tap_dir/said"; false; }
}

ok 'the failing program compiles' \
    cc -std=c11 -Wall -I "$root" -o "$tap_dir/fails" "$root/tests/house/tap_fails.c"
"$tap_dir/fails" >"$tap_dir/said" 2>&1
status=$?
ok 'tap.h: a program with failed checks exits with 1' [ "$status" -eq 1 ]
ok 'tap.h: all five checks failed' counted '^not ok' 5
ok 'tap.h: none passed' counted '^ok' 0
ok 'tap.h: the failed condition is shown' said '# .*tap_fails.c:[0-9]*: no || no$'
ok 'tap.h: the plan is the number of checks' said '^1\.\.5$'

cat >"$tap_dir/none.c" <<'EOF'
#include "tests/tap.h"
int main(void)
{
    return tap_done();
}
EOF
ok 'a program without a check compiles' \
    cc -std=c11 -I "$root" -o "$tap_dir/none" "$tap_dir/none.c"
ok 'tap.h: a program that checked nothing does not pass' fails "$tap_dir/none"

cat >"$tap_dir/fails.sh" <<EOF
. "$root/tests/tap.sh"
ok 'a command that fails' false
ok 'a command that passes' true
ok 'a failure that is wanted and does not come' fails true
skip 'a claim' 'no time'
tap_done
EOF
sh "$tap_dir/fails.sh" >"$tap_dir/said" 2>&1
status=$?
ok 'tap.sh: a script with failed checks exits with 1' [ "$status" -eq 1 ]
ok 'tap.sh: two failed' counted '^not ok' 2
ok 'tap.sh: the skipped one says why' said '^ok 4 - a claim # SKIP no time$'
ok 'tap.sh: the plan' said '^1\.\.4$'

cat >"$tap_dir/criterion.c" <<'EOF'
#include <criterion/criterion.h>
Test(macros, choice) { cr_assert(0 || 0); }
Test(macros, crash) { __builtin_trap(); }
Test(macros, good) { cr_assert(1); }
EOF
if cc -o "$tap_dir/criterion" "$tap_dir/criterion.c" -lcriterion 2>/dev/null; then
    "$tap_dir/criterion" --tap=- >"$tap_dir/said" 2>&1
    status=$?
    ok 'Criterion: a failed assert and a crash fail the program' [ "$status" -ne 0 ]
    ok 'Criterion: both are counted' counted '^not ok' 2
    ok 'Criterion: the good one too' counted '^ok' 1
else
    skip 'Criterion counts failures and crashes' 'Criterion is not installed'
fi
tap_done
