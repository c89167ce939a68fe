# Each public header compiles alone, as C and as C++, by every compiler that is installed.
# shellcheck shell=sh
set -u
root=$1
. "$root/tests/tap.sh"

strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror -fsyntax-only'

# alone COMPILER OPTION... HEADER
alone()
{
    for header; do :; done
    # Twice: an include guard that does not guard shows here.
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$tap_dir/alone.$suffix"
    # shellcheck disable=SC2086 # a list of words
    "$1" "$2" $strict $more -I "$root/include" "$tap_dir/alone.$suffix"
}

headers=$(cd "$root/include" && find . -name '*.h' | sed 's,^\./,,' | sort)

for compiler in gcc:c11 clang:c11 g++:c++17 clang++:c++17; do
    std=${compiler#*:}
    compiler=${compiler%:*}
    if ! command -v "$compiler" >/dev/null; then
        skip "headers by $compiler as $std" 'not installed'
        continue
    fi
    suffix=c
    more='-Wstrict-prototypes'
    case $std in c++*)
        suffix=cc
        # A zero for a pointer in a header is the business of whoever includes it.
        more='-Wzero-as-null-pointer-constant'
        ;;
    esac
    for header in $headers; do
        ok "$header alone, $compiler as $std" alone "$compiler" "-std=$std" "$header"
    done
done

not_listed()
{
    for header in $headers; do
        grep -q "'$header'" "$root/include/meson.build" || echo "$header is not installed"
    done | { ! grep .; }
}
ok 'every public header is installed' not_listed

without_json()
{
    { ! grep -rln jansson "$root/include" | grep -v '/tresque/json\.h$'; } &&
        { ! grep -n 'tresque/json\.h' "$root/include/tresque.h"; }
}
ok 'the main header does not need jansson' without_json
tap_done
