# The main job, over a small tree with every kind of file name.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

headers=$dir/headers
mkdir -p "$headers/linux" "$headers/c++" "$headers/other" "$dir/tmp"
for name in linux/a.h linux/b.h c++/c.h other/d.h 'sp ace.h' 'quo"te.h' "quo'te.h" 'back\slash.h' \
    'dollar$.h' 'ü.h' '-dash.h' "$(printf 'new\nline.h')" "$(printf 'tab\there.h')" \
    "$(printf 'escape\033.h')" "$(printf 'return\r.h')" "$(printf 'delete\177.h')"; do
    echo "content of $name" >"$headers/$name"
done
echo 'none of ours' >"$headers/other/e.hpp"
echo 'no UTF-8' >"$headers/$(printf 'latin\344.h')"

main_job()
{
    HEADERS=$headers TMPDIR=$dir/tmp sh "$root/cli/main-job.sh" >"$dir/out" 2>"$dir/err"
    status $?
}

main_job
ok 'the main job ends well' exits 0
ok 'it says what it takes' prints '^16 headers under .*; 3 of them in the queue of higher weight$'
ok 'and what it cannot' prints '^main-job: 1 names'
ok 'it shows the queues in the order of work' prints '^TResque: worker_urgent, worker_default$'
ok 'and the summary' prints '^done +16$'
ok 'and compares all digests' prints '^16 digests compared, 0 differ$'
ok 'nothing is left behind' rmdir "$dir/tmp"
mkdir -p "$dir/tmp"

# A sha256sum that lies about one file, but only to the jobs: they are given one file each.
mkdir "$dir/bin"
real=$(command -v sha256sum)
cat >"$dir/bin/sha256sum" <<END
#!/bin/sh
[ \$# -gt 2 ] || case \$* in
*/other/d.h) exec "$real" -- "$headers/linux/a.h" ;;
esac
exec "$real" "\$@"
END
chmod +x "$dir/bin/sha256sum"
PATH=$dir/bin:$PATH main_job
ok 'a digest that differs is found' prints '^16 digests compared, 1 differ$'
ok 'and the job fails' exits 1

headers=$dir/none
mkdir "$headers"
main_job
ok 'no headers at all are no success' exits 1

tap_done
