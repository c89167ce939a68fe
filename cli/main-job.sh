# The main job: every C header under /usr/include hashed by one Exec job each, those of two directories
# first, and the digests compared with what one plain sha256sum run says of the same files.
#
# Usage: TRESQUE=build/cli/tresque sh cli/main-job.sh [OPTION-OF-TRESQUE-RUN...]
# HEADERS is the directory, /usr/include if it is not set.
set -eu

: "${TRESQUE:?say where the program is: TRESQUE=build/cli/tresque}"
headers=${HEADERS:-/usr/include}
LC_ALL=C
export LC_ALL

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A file's name may hold every byte but the zero byte. The names travel as lines in which a newline is
# written \001; names that hold that byte themselves, and such as are not UTF-8, cannot be put into JSON
# this simply: they are left out, and counted.
soh=$(printf '\001')

# Makes lines into the insides of JSON strings, exactly as tresque writes them.
json='s/[\\"]/\\&/g; s/\x08/\\b/g; s/\x09/\\t/g; s/\x0c/\\f/g; s/\x0d/\\r/g'
for byte in 02 03 04 05 06 07 0b 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f; do
    json="$json; s/\\x$byte/\\\\u00$byte/g"
done

# Names, one a line, of the headers that a test of find selects.
names()
{
    find "$headers" -type f -name '*.h' ! -path "*$soh*" "$@" -print0 | tr '\n\0' '\001\n' |
        { LC_ALL=C.UTF-8 grep -ax '.*' || :; }
}

# job_lines QUEUE: job lines for the names that come in.
job_lines()
{
    sed -e "$json" -e 's/\x01/\\n/g' \
        -e 's/.*/{"worker":"Exec","inputs":{"argv":["sha256sum","--","&"]},"queue":"'"$1"'"}/'
}

# Two directories that go first: those of them that this machine has.
one=
two=
for candidate in "$headers"/linux "$headers"/*-linux-gnu* "$headers"/c++ "$headers"/*/; do
    candidate=${candidate%/}
    if [ ! -d "$candidate" ] || [ "$candidate" = "$one" ]; then
        continue
    elif [ -z "$one" ]; then
        one=$candidate
    elif [ -z "$two" ]; then
        two=$candidate
    fi
done

# The lines of the urgent queue come last, so that only their weight can bring them forward.
of_one="${one:-//no}/*" # what is missing must match nothing
of_two="${two:-//no}/*"
names \( -path "$of_one" -o -path "$of_two" \) >"$dir/first"
names ! \( -path "$of_one" -o -path "$of_two" \) >"$dir/then"
{
    job_lines default <"$dir/then"
    job_lines urgent <"$dir/first"
} >"$dir/jobs.jsonl"

total=$(wc -l <"$dir/jobs.jsonl")
if [ "$total" -eq 0 ]; then
    echo "main-job: there is no header under $headers" >&2
    exit 1
fi
all=$(find "$headers" -type f -name '*.h' -print0 | tr -dc '\0' | wc -c)
[ "$all" -eq "$total" ] || echo "main-job: $((all - total)) names are not UTF-8 or hold the byte 1, and are left out"
echo "$total headers under $headers; $(wc -l <"$dir/first") of them in the queue of higher weight"

status=0
"$TRESQUE" run --weight urgent=1000 --output "$dir/ended.jsonl" --summary text --progress auto "$@" \
    "$dir/jobs.jsonl" || status=$?
[ "$status" -lt 128 ] || exit "$status"

# Both as lines "digest  name", in the form of a JSON string's inside. sha256sum itself escapes names that
# would break its lines, in both runs alike.
cat "$dir/first" "$dir/then" | tr '\n\001' '\0\n' | xargs -0 sha256sum -- |
    sed -e "$json" | sort >"$dir/expected"
sed -n 's/.*"output":"\(.*\)\\n","wait_us":.*/\1/p' "$dir/ended.jsonl" | sort >"$dir/found"
differ=$(comm -23 "$dir/expected" "$dir/found" | wc -l)
extra=$(comm -13 "$dir/expected" "$dir/found" | wc -l)
echo "$(wc -l <"$dir/expected") digests compared, $differ differ"
if [ "$differ" -ne 0 ] || [ "$extra" -ne 0 ]; then
    comm -3 "$dir/expected" "$dir/found" | head -n 10 >&2
    exit 1
fi
exit "$status"
