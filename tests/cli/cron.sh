# tresque cron: the next times of an expression.
set -u
# shellcheck source=tests/cli/run.sh
. "$(dirname "$0")/run.sh"

# fires EXPRESSION [OPTION...]: and the lines that come in on standard input are all that it prints.
fires()
{
    cat >"$dir/expected"
    plain cron "$@"
    same "$dir/expected" "$dir/out" && silent && exits 0
}

ok 'five times by UTC, strictly after --from' fires '30 2 * * *' --from 2020-06-01T02:30:00Z <<'END'
2020-06-02T02:30:00Z
2020-06-03T02:30:00Z
2020-06-04T02:30:00Z
2020-06-05T02:30:00Z
2020-06-06T02:30:00Z
END
ok '-n says how many' fires '@hourly' --from 2020-06-01T02:30:00Z -n 2 <<'END'
2020-06-01T03:00:00Z
2020-06-01T04:00:00Z
END
ok 'six fields begin with seconds' fires '*/20 59 23 31 12 *' --from 2019-12-31T23:59:00Z -n 3 <<'END'
2019-12-31T23:59:20Z
2019-12-31T23:59:40Z
2020-12-31T23:59:00Z
END
ok '--from has any offset' fires '0 0 * * *' --from '2020-06-01 01:30:00.5+02:00' -n1 <<'END'
2020-06-01T00:00:00Z
END
ok 'or is seconds since 1970' fires '0 0 * * *' --from 1590969599 -n 1 <<'END'
2020-06-01T00:00:00Z
END
ok 'with a fraction, and below 0' fires '* * * * * *' --from=-0.5 -n 1 <<'END'
1970-01-01T00:00:00Z
END
ok 'a zone has its own offset' fires '0 2 * * *' --tz Europe/Berlin --from 2020-03-27T12:00:00Z -n 3 <<'END'
2020-03-28T02:00:00+01:00
2020-03-29T03:00:00+02:00
2020-03-30T02:00:00+02:00
END
ok 'as of each time' fires '30 * * * *' --tz America/New_York --from 2020-11-01T05:00:00Z -n 3 <<'END'
2020-11-01T01:30:00-04:00
2020-11-01T01:30:00-05:00
2020-11-01T02:30:00-05:00
END
ok 'also one of UTC' fires '@daily' --tz Etc/UTC --from 2020-01-01T00:00:00Z -n 1 <<'END'
2020-01-02T00:00:00+00:00
END
ok 'also one with seconds, as its nearest minute' \
    fires '@daily' --tz Africa/Monrovia --from 1960-01-01T12:00:00Z -n 1 <<'END'
1960-01-02T00:00:30-00:44
END

# Now is not known here; but the next minute comes after it and is not far.
plain cron '* * * * *' -n 1
now=$(date +%s)
ok 'from now on by default' test "$(date -d "$(cat "$dir/out")" +%s)" -gt "$((now - 60))"
ok 'and not from later' test "$(date -d "$(cat "$dir/out")" +%s)" -le "$((now + 60))"
plain cron '@yearly'
ok 'five of them' test "$(wc -l <"$dir/out")" -eq 5
plain cron '@yearly' -n 1000 --from 2020-01-01T00:00:00Z
ok 'when there are no more those that there are' test "$(wc -l <"$dir/out")" -eq 242
ok 'and that is told' says 'does not fire again before the year 2262'
ok 'and no fault' exits 0
plain cron '@yearly' --from 2262-02-01T00:00:00Z
ok 'when there is none at all that is told' says 'does not fire at all'
ok 'and a failure' exits 1

# wrong CLAIM RE ARGUMENT...: exit status 2, such a sentence, nothing on standard output.
wrong()
{
    claim=$1
    sentence=$2
    shift 2
    plain cron "$@"
    ok "$claim" refused_cron "$sentence"
}
refused_cron()
{
    exits 2 && says "^tresque cron: .*$1" && [ ! -s "$dir/out" ]
}
# points COLUMN: the last line is a caret below that column of the line before it, which begins after two spaces.
points()
{
    [ "$(tail -n 1 "$dir/err")" = "$(printf '%*s^' "$(($1 + 1))" '')" ] || shown
}

wrong 'a number that there is not' 'column 3.*hour.*25' '0 25 * * *'
ok 'the expression is shown' says '^  0 25 \* \* \*$'
ok 'with a caret' points 3
wrong 'a field too few' 'column 8.*5 fields' '* * * *'
ok 'the caret stands behind it' points 8
wrong 'a day that no month has' 'column 5.*never' '0 0 30 2 *'
ok 'the caret is below it' points 5
wrong 'no expression' 'column 1.*5 fields' ''
wrong 'what is no cron here' 'column 1' '@reboot'
wrong 'characters of several bytes' 'column 5' '0 0 ö * *'
wrong 'an expression that is many words' 'put it in quotes' '*' '*' '*' '*' '*'
wrong 'no word at all' 'which expression'
wrong 'a zone that there is not' 'Mars/Base' '@daily' --tz Mars/Base
ok 'without a caret' fails says '\^'
wrong 'an empty zone' 'zone' '@daily' --tz ''
wrong 'a path for a zone' 'zone' '@daily' --tz ../../etc/passwd
wrong 'no time' 'from must be a time such as' '@daily' --from tomorrow
wrong 'a time without an offset' 'from has no offset' '@daily' --from 2020-01-01T00:00:00
wrong 'a time that there is not' 'from has no such day' '@daily' --from 2021-02-29T00:00:00Z
wrong 'milliseconds for seconds' 'from is beyond the year 9999' '@daily' --from 1767225600000
wrong 'no times' '-n takes a number from 1 to 100000' '@daily' -n 0
wrong 'a count that is no number' '-n takes a number' '@daily' -n few
wrong 'more times than anybody reads' '-n takes a number' '@daily' -n 100001
wrong 'an unknown option' 'no option --zone' '@daily' --zone UTC
wrong 'an option that lacks its argument' 'tz needs an argument' '@daily' --tz

"$TRESQUE" cron '@daily' >/dev/full 2>"$dir/err"
status $?
ok 'times that cannot be written are a failure' exits 1
ok 'that is told' says 'standard output'
plain cron --help
ok '--help prints the usage' prints '^usage: tresque run'

tap_done
