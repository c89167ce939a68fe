# What a reviewer should not have to say: formatting, clang-tidy, shellcheck, layers.
# Usage: check.sh BUILDDIR, a configured build directory with the tests in it.
# shellcheck shell=sh disable=SC2317 # step calls them by name
set -u
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
builddir=$1
cd "$root" || exit 1

step()
{
    name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "check: $name: good"
    else
        cat "$log"
        echo "check: $name: BAD"
        bad=1
    fi
}

# sources EXTENSION...: ours, without the build directories.
sources()
{
    for ext; do
        find include engine persist cli bench tests docs/examples -name "*.$ext"
    done 2>/dev/null | sort
}

formatted()
{
    sources h c cc cpp | xargs clang-format --dry-run -Werror
}

# What the build compiles. One file a process: in a second file, clang-tidy 14 holds every va_list to
# be uninitialised.
tidy()
{
    python3 - "$builddir" <<'EOF' | sort -u | xargs -P "$(nproc)" -n 1 clang-tidy -p "$builddir" --quiet
import json, os, sys
for unit in json.load(open(os.path.join(sys.argv[1], "compile_commands.json"))):
    if unit["file"].endswith(".c"):
        print(os.path.normpath(os.path.join(unit["directory"], unit["file"])))
EOF
}

shells()
{
    { sources sh && echo dev; } | xargs shellcheck -x -s sh -S warning && shellcheck .ci/run
}

bad=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
step formatting formatted
step clang-tidy tidy
step shellcheck shells
step layers sh tests/house/layers.sh "$root"
exit "$bad"
