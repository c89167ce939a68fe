# ./dev keeps its word also when things go wrong.
# shellcheck shell=sh
set -u
root=$1
. "$root/tests/tap.sh"

tree=$tap_dir/tree
mkdir "$tree"
# The tree is built twice here: without what takes long and says nothing about ./dev.
(cd "$root" && tar cf - --exclude='./build*' --exclude=./.git --exclude=./bench \
    --exclude=./docs/examples --exclude=./tests/weave .) | tar xf - -C "$tree"
unset CI CC CXX
CFLAGS=-O0
export CFLAGS

# ends STATUS LINE COMMAND...
ends()
{
    wanted="$1:$2"
    shift 2
    "$@" >"$tap_dir/said" 2>"$tap_dir/error"
    got="$?:$(tail -n 1 "$tap_dir/said")"
    [ "$got" = "$wanted" ] || { cat "$tap_dir/said" "$tap_dir/error"; echo "wanted $wanted"; false; }
}

usage()
{
    ends "$@" && grep -q '^usage: ./dev COMMAND' "$tap_dir/said" "$tap_dir/error"
}

last=$("$tree/dev" help | tail -n 1)
ok 'help is help' usage 0 "$last" "$tree/dev" help
ok 'no command is a call for help' usage 0 "$last" "$tree/dev"
ok 'an unknown command is refused with the list' usage 2 '' "$tree/dev" nonsense
ok 'an unknown sanitizer, too' usage 2 '' "$tree/dev" sanitize nonsense
ok 'a suite runs, from any directory, and is counted' \
    ends 0 "$(sh "$root/tests/house/layers.sh" "$root" | grep -c ^ok) passed, 0 failed" \
    "$tree/dev" test layers
ok 'a suite that does not exist is a failure' ends 1 '0 passed, 1 failed' "$tree/dev" test nonsense
mv "$tree" "$tap_dir/moved"
tree=$tap_dir/moved
ok 'a tree that was moved builds anew' \
    ends 0 "$(sh "$root/tests/house/layers.sh" "$root" | grep -c ^ok) passed, 0 failed" \
    "$tree/dev" test layers
echo '#error seeded' >>"$tree/engine/base/error.c"
ok 'a build that fails is counted' ends 1 '0 passed, 1 failed' "$tree/dev" test
ok 'and the compiler is heard' grep -q 'error: #error seeded' "$tap_dir/error"
echo 'nonsense(' >>"$tree/meson.build"
ok 'a configuration that fails is counted' ends 1 '0 passed, 1 failed' "$tree/dev" test
tap_done
