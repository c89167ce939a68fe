# An installed tresque serves a program that knows nothing but pkg-config.
# shellcheck shell=sh
set -u
root=$1
build=$2
. "$root/tests/tap.sh"

prefix=$tap_dir/usr

# Configured anew, as a packager would, and not from this build directory: its prefix is another one.
installed()
{
    meson setup --prefix "$prefix" --libdir lib "$tap_dir/build" "$root" &&
        ninja -C "$tap_dir/build" install
}

staged()
{
    DESTDIR=$tap_dir/stage meson install -C "$build" --no-rebuild &&
        find "$tap_dir/stage" -name tresque.h | grep . &&
        find "$tap_dir/stage" -name 'libtresque.so.*' | grep .
}

PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
version=$(meson introspect "$build" --projectinfo | sed 's/.*"version": "\([^"]*\)".*/\1/')
major=${version%%.*}

is()
{
    [ "$1" = "$2" ] || { echo "$1, wanted $2"; false; }
}

# linked PROGRAM HOW...: tests/house/outside.c as a stranger would compile it.
linked()
{
    out=$1
    shift
    # shellcheck disable=SC2046 # lists of words
    cc -std=c11 -Wall -Wextra -Werror $(pkg-config --cflags tresque) -o "$out" \
        "$root/tests/house/outside.c" "$@"
}

shared()
{
    # shellcheck disable=SC2046
    linked "$tap_dir/shared" $(pkg-config --libs tresque) -Wl,-rpath,"$prefix/lib" &&
        readelf -d "$tap_dir/shared" | grep "NEEDED.*libtresque\.so\.$major]"
}

static()
{
    # shellcheck disable=SC2046
    linked "$tap_dir/static" -static $(pkg-config --static --libs tresque)
}

soname()
{
    readelf -d "$prefix/lib/libtresque.so" >"$tap_dir/dynamic"
    grep "SONAME.*\[libtresque\.so\.$major\]" "$tap_dir/dynamic"
}

only_ours()
{
    nm -D --defined-only "$prefix/lib/libtresque.so" >"$tap_dir/symbols" &&
        grep -q ' T trq_' "$tap_dir/symbols" || return 1
    awk '$2 != "A" && $3 !~ /^trq_/' "$tap_dir/symbols" | { ! grep .; }
}

# A function that a header declares and nobody wrote.
all_there()
{
    cat "$prefix"/include/tresque.h "$prefix"/include/tresque/*.h |
        awk '/^TRQ_API/ {
            sub(/__attribute__.*/, ""); sub(/^TRQ_API/, "")
            if (match($0, /trq_[a-z0-9_]+\(/))
                print substr($0, RSTART, RLENGTH - 1)
        }' | sort -u >"$tap_dir/declared"
    awk '{ sub(/@.*/, "", $3); print $3 }' "$tap_dir/symbols" | sort -u >"$tap_dir/defined"
    comm -23 "$tap_dir/declared" "$tap_dir/defined" | { ! grep .; }
}

ok 'it installs under a prefix' installed
ok 'it installs under DESTDIR' staged
ok 'pkg-config tells the version of the header' is "$(pkg-config --modversion tresque)" "$version"
ok 'the soname carries the major version' soname
ok 'a program links with the shared library' shared
ok 'and runs' "$tap_dir/shared"
ok 'a program links with the static library' static
ok 'and runs' "$tap_dir/static"
ok 'the shared library exports trq_ names only' only_ours
ok 'every public function that a header declares is exported' all_there
tap_done
