# Arrows point down only: a file includes its own layer and those below it.
# shellcheck shell=sh
set -u
root=$1
. "$root/tests/tap.sh"

# upward TREE: each include that points up, as FILE:LINE: what is wrong.
upward()
{
    # shellcheck disable=SC2016 # the dollars are awk's
    (cd "$1" && find include engine persist cli bench tests docs/examples \
        -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp' 2>/dev/null) | sort |
        (cd "$1" && xargs awk '
    # The layers by path, and the layers that each may see. engine/base and the public headers see
    # each other: the headers are its vocabulary.
    BEGIN {
        sees["include"] = "include"
        sees["engine/base"] = "include engine/base"
        sees["engine/sync"] = "include engine/base engine/sync"
        sees["engine/core"] = "include engine/base engine/sync engine/core"
        sees["persist"] = "include engine/base persist"
        sees["cli"] = "include cli"
        sees["docs/examples"] = "include docs/examples"
        sees["bench"] = "include engine/base engine/sync engine/core persist bench"
        sees["tests"] = "include engine/base engine/sync engine/core persist cli tests"
    }
    function layer(path,    part) {
        split(path, part, "/")
        if (part[1] == "engine" || part[1] == "docs")
            return part[1] "/" part[2]
        return part[1]
    }
    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        name = $0
        sub(/^[^"<]*["<]/, "", name)
        sub(/[">].*/, "", name)
        from = layer(FILENAME)
        quoted = $0 ~ /include[ \t]*"/
        if (name ~ /^tresque(\.h|\/)/)
            to = "include"
        else if (name ~ /^(engine|docs)\/[a-z]+\/|^(persist|cli|bench|tests|include)\//)
            to = layer(name)
        else if (quoted && name ~ /\.\.\//)
            to = "a path with .."
        else
            next # beside it, or of the system
        if (!(from in sees))
            why = "is in no layer, and includes " name
        else if (index(" " sees[from] " ", " " to " ") == 0)
            why = from " may not include " to ": " name
        else
            next
        print FILENAME ":" FNR ": " why
        bad = 1
    }
    END { exit bad }
    ' /dev/null)
}

# caught FILE INCLUDE: a tree in which FILE has that line is refused, and the file named.
caught()
{
    tree=$tap_dir/seeded
    rm -rf "$tree"
    mkdir -p "$tree/include" "$tree/${1%/*}"
    printf '#include <stdio.h>\n#include %s\n' "$2" >"$tree/$1"
    said=$(upward "$tree") && return 1
    echo "$said"
    case $said in "$1:2: "*) ;; *) return 1 ;; esac
}

# passes FILE INCLUDE: that one is as it should be.
passes()
{
    ! caught "$@"
}

ok 'no file includes a layer above its own' upward "$root"
ok 'seeded: a public header that includes the engine is caught' \
    caught include/tresque/value.h '"engine/base/clock.h"'
ok 'seeded: base that includes sync is caught' caught engine/base/clock.c '"engine/sync/fifo.h"'
ok 'seeded: sync that includes core is caught' caught engine/sync/fifo.c '"engine/core/job.h"'
ok 'seeded: core that includes the CLI is caught' caught engine/core/job.c '"cli/bar.h"'
ok 'seeded: core that includes a store is caught' caught engine/core/job.c '"persist/lmdb.h"'
ok 'seeded: a store that includes core is caught' caught persist/lmdb.c '"engine/core/job.h"'
ok 'seeded: a store that includes sync is caught' caught persist/lmdb.c '"engine/sync/fifo.h"'
ok 'seeded: a CLI that looks inside is caught' caught cli/main.c '"engine/base/clock.h"'
ok 'seeded: a way round by .. is caught' caught engine/base/clock.c '"../core/job.h"'
ok 'seeded: angle brackets do not hide it' caught engine/base/clock.c '<engine/core/job.h>'
ok 'core may include sync' passes engine/core/job.c '"engine/sync/fifo.h"'
ok 'base may include public headers' passes engine/base/clock.c '<tresque/value.h>'
ok 'a store may include base' passes persist/lmdb.c '"engine/base/clock.h"'
ok 'tests may include all' passes tests/test_fifo.c '"engine/core/job.h"'
tap_done
