# The docs and the headers speak of the same things.
# shellcheck shell=sh disable=SC2016,SC2086 # dollars of sed; lists of files
set -u
root=$1
# shellcheck source=tests/tap.sh
. "$root/tests/tap.sh"
cd "$root" || exit 1

headers='include/tresque.h include/tresque/*.h'
pages='docs/man/*.3'
texts="README.md docs/*.md persist/README.md $pages"

# The headers without comments and directives, in one line.
cat $headers | sed ':a; /\\$/{N; s/\\\n//; ba}; /^ *#/d; s,/\*[^*]*\*/,,g; /\/\*/,/\*\//d' |
    tr '\n' ' ' >"$tap_dir/headers"

# Names of the functions that a program may call.
grep -oE 'TRQ_(API|INLINE)[^;{]*' "$tap_dir/headers" | grep -oE 'trq_[a-z0-9_]*[a-z0-9]\(' | tr -d '(' |
    sort -u >"$tap_dir/functions"
# And of those that are exported.
grep -oE 'TRQ_API[^;{]*' "$tap_dir/headers" | grep -oE 'trq_[a-z0-9_]+\(' | tr -d '(' |
    sort -u >"$tap_dir/exported"

none()
{
    ! grep .
}

enough()
{
    [ "$(wc -l <"$tap_dir/exported")" -ge 50 ]
}
ok 'the functions of the headers are found' enough

documented()
{
    sed -n 's/^\.Nm \([a-z0-9_]*\).*/\1/p' $pages | sort -u >"$tap_dir/pages"
    comm -23 "$tap_dir/functions" "$tap_dir/pages" | none
}
ok 'every public function has a manual page' documented

# A prototype that was changed in the header only shows here.
prototypes()
{
    cat $pages | tr -s ' \n' '  ' >"$tap_dir/manual"
    grep -oE 'TRQ_API[^;{]*' "$tap_dir/headers" |
        sed -E 's/ +TRQ_(MUST_USE|PRINTF\([^)]*\))//g; s/^TRQ_API //; s/ +/ /g; s/ *$/;/' |
        while IFS= read -r prototype; do
            grep -qF -- "$prototype" "$tap_dir/manual" || echo "in no page: $prototype"
        done | none
}
ok 'with the prototype of the header' prototypes

linked()
{
    for page in $pages; do
        name=${page##*/}
        name=${name%.3}
        sed -n 's/^\.Nm \([a-z0-9_]*\).*/\1/p' "$page" | while IFS= read -r also; do
            grep -q "'$also'" docs/man/meson.build || echo "$also of $name is not installed"
        done
    done | none
}
ok 'every page is installed under each of its names' linked

# Every trq_ and TRQ_ name that is written anywhere. trq_plugin_init is the program's.
exist()
{
    cat $texts | grep -v '^\.Dt' | grep -oE '\b(trq|TRQ)_[A-Za-z0-9_]*[A-Za-z0-9]\b' | sort -u |
        while IFS= read -r name; do
            grep -qE "\\b$name\\b" $headers || [ "$name" = trq_plugin_init ] ||
                echo "$name is in no header"
        done | none
}
ok 'every name in the docs exists' exist

codes()
{
    sed -n 's/^ *X(\(TRQ_[A-Z]*\), -*[0-9]*, .*/\1/p' include/tresque/value.h | while IFS= read -r code; do
        grep -q "^\.It Li $code\$" docs/man/tresque.3 || echo "tresque(3) does not tell $code"
    done | none
}
ok 'tresque(3) tells every code' codes

counters()
{
    sed -n 's/^ *X(\([a-z]*\), "\(.*\)").*/\1 \2/p' include/tresque/stats.h | while read -r name sentence; do
        sed -n "/^\.It Li $name\$/{n;p;}" docs/man/trq_stats_worker.3 | grep -qxF -- "$sentence" ||
            echo "trq_stats_worker(3) does not tell $name: $sentence"
    done | none
}
ok 'trq_stats_worker(3) tells every counter' counters

# trq_job_... is one row for most of what a handler asks.
progress()
{
    while IFS= read -r name; do
        case $name in trq_job_*) continue ;; esac
        grep -q "^|.*\`$name\`.*|.*|.*|\$" docs/CONCURRENCY.md || echo "no row for $name"
    done <"$tap_dir/exported" | none
}
ok 'CONCURRENCY.md has the progress of every exported function' progress

# Links to files of the tree, from the directory of the text.
links()
{
    for text in README.md docs/*.md; do
        grep -oE '\]\([^)#]+' "$text" | sed 's/^](//' | grep -v '^[a-z]*:' |
            while IFS= read -r link; do
                [ -e "$(dirname "$text")/$link" ] || echo "$text: $link is not there"
            done
    done | none
}
ok 'every link leads somewhere' links

readme_program()
{
    sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' | diff - docs/examples/hello.c
}
ok 'the program in the README is hello.c' readme_program
readme_output()
{
    grep -qxF "    $(cat docs/examples/hello.expected)" README.md
}
ok 'and so is its output' readme_output

if command -v groff >/dev/null; then
    warnings()
    {
        for page in $pages; do
            groff -mandoc -ww -Tutf8 "$page" 2>&1 >/dev/null
        done | none
    }
    ok 'the pages are formatted without a warning' warnings
else
    skip 'the pages are formatted without a warning' 'no groff'
fi
tap_done
