# Words on the command line: what is refused, with which message.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

plain --version
ok '--version prints the version' prints '^tresque [0-9]+\.[0-9]+\.[0-9]+$'
ok 'and is a success' exits 0
plain help
ok 'help prints the usage' prints '^usage: tresque run'
ok 'and is a success' exits 0
ok 'and names every option of the manual' fails grep -q . <<END
$(sed -n 's/^\.It Fl Fl \([a-z-]*\).*/\1/p' "$root/docs/man/tresque.1" | sort -u |
    while read -r option; do grep -q -e "--$option" "$dir/out" || echo "$option"; done)
END
plain run --help
ok 'run --help is the same text' prints '^usage: tresque run'
"$TRESQUE" help >/dev/full 2>"$dir/err"
status $?
ok 'a text that cannot be written is a failure' exits 1
ok 'that is told' says 'standard output'

# wrong CLAIM RE ARGUMENT...: exit status 2, such a sentence, nothing on standard output.
wrong()
{
    claim=$1
    sentence=$2
    shift 2
    plain "$@"
    ok "$claim" usage_error "$sentence"
}
usage_error()
{
    exits 2 && says "^tresque.*$1" && [ ! -s "$dir/out" ]
}

wrong 'no command at all' 'tresque help'
wrong 'an unknown command' 'no command "fly".*tresque help' fly
wrong 'an unknown option' 'no option --fly.*tresque help' run --fly
wrong 'an unknown letter' 'no option -z' run -z
wrong 'an option that lacks its argument' 'weight needs an argument' run --weight
wrong 'a letter that lacks its argument' 'j needs an argument' run -j
wrong 'an argument too many' 'takes no argument' run --strict=yes
wrong 'two inputs' 'one input at most' run a b
wrong 'no threads' '1 to 1024' run -j 0
wrong 'too many threads' '1 to 1024' run -j 1025
wrong 'threads that are no number' '1 to 1024' run -j 2x
wrong 'a number that overflows' 'from 1 to' run --max-jobs 99999999999999999999
wrong 'a negative number' 'from 1 to' run --max-jobs -1
wrong 'a weight without a number' 'NAME=N' run --weight urgent
wrong 'a weight without a name' 'NAME=N' run --weight =5
wrong 'a weight beyond 32 bits' 'NAME=N' run --weight urgent=2147483648
wrong 'a weight given twice' 'twice' run --weight urgent=1 --weight urgent=2
wrong 'an empty name among queues' '--queues' run --queues a,,b
wrong 'queues given twice' 'twice' run --queues a --queues b
wrong 'an unknown form of summary' 'text, json or none' run --summary xml
wrong 'an unknown word for progress' 'auto, always or never' run --progress sometimes
wrong 'an input that does not exist' 'none: No such file' run "$dir/none"
wrong 'an input that is a directory' 'Is a directory' run "$dir"
wrong 'an output that cannot be made' 'cannot write' run --output "$dir/none/x" /dev/null
wrong 'a queue to work that nobody registered' 'nowhere.*worker_default' run --queues nowhere /dev/null
echo '{"worker":"Noop"}' >"$dir/jobs"
wrong 'an output that is the input' 'read from' run --output "$dir/jobs" "$dir/jobs"
ok 'which is left as it was' test -s "$dir/jobs"

plain run --summary json -- "$dir/jobs"
ok '-- ends the options' count 'done' 1
plain run --summary json "$dir/jobs" -j 3
ok 'options may follow the input' count 'done' 1
plain run --summary json -j3 --max-jobs=10 "$dir/jobs"
ok 'an argument may be joined to its option' count 'done' 1

tap_done
