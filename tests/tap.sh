# Checks for test scripts, in TAP. Read with `. tests/tap.sh`.
#
#     ok 'a claim, in words' COMMAND...    its output is shown only when it fails
#     skip 'a claim, in words' 'why not'
#     tap_done
# shellcheck shell=sh

tap_run=0
tap_failed=0
tap_dir=$(mktemp -d)
trap 'rm -rf "$tap_dir"' EXIT

ok()
{
    claim=$1
    shift
    tap_run=$((tap_run + 1))
    if "$@" >"$tap_dir/output" 2>&1; then
        echo "ok $tap_run - $claim"
    else
        echo "not ok $tap_run - $claim"
        tap_failed=$((tap_failed + 1))
        sed 's/^/# /' "$tap_dir/output"
    fi
}

# fails COMMAND...: for claims that something is refused.
fails()
{
    ! "$@"
}

skip()
{
    tap_run=$((tap_run + 1))
    echo "ok $tap_run - $1 # SKIP $2"
}

tap_done()
{
    echo "1..$tap_run"
    [ "$tap_failed" -eq 0 ]
}
