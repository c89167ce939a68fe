# Jobs for the worker of plugin.c. Usage: plugin.sh TRESQUE PLUGIN
# shellcheck shell=sh
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
status=0
"$1" run -j 1 --load "$2" --summary none --output "$dir/ended.jsonl" - <<'END' || status=$?
{"worker":"Text::ReverseWorker","inputs":{"text":"olleh"}}
{"worker":"Text::ReverseWorker","inputs":{"text":5}}
END
echo "exit status $status"
sed 's/.*"outcome":"\([a-z]*\)".*"output":"\([^"]*\)".*/\1: \2/' "$dir/ended.jsonl"
