"""Run the tests of one build directory and say in the last line how many cases passed and failed.

meson counts programs; this counts the cases inside them. Usage: tally.py BUILDDIR [NAME...], where
a name is a suite or a test. A program counts its `ok` and `not ok` lines, and at least one failure
if it crashed, hung, or ended before its plan. Nothing that happens here may hide a failure: whatever
cannot be read counts as one.
"""

import json
import os
import re
import subprocess
import sys

OK = re.compile(r"(not )?ok\b[^#]*(#\s*(SKIP|TODO))?", re.I)
PLAN = re.compile(r"1\.\.(\d+)(\s*#\s*SKIP)?", re.I)
# Criterion lets a test pass whose process leaks at its exit: the report is what tells.
REPORT = re.compile(r"^.*(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: )", re.M)


def count(run, tap):
    """Passed, failed and skipped cases of one program's run."""
    good = run["result"] in ("OK", "EXPECTEDFAIL")
    if not tap:
        if run["result"] == "SKIP":
            return 0, 0, 1
        return int(good), int(not good), 0
    passed = failed = skipped = 0
    plan = None
    excused = False
    for line in run.get("stdout", "").splitlines():
        if PLAN.match(line):
            plan = int(PLAN.match(line).group(1))
            excused = PLAN.match(line).group(2) is not None
        found = OK.match(line)
        if found and (found.group(3) or "").upper() == "SKIP":
            skipped += 1
        elif found and found.group(1):
            failed += 1
        elif found:
            passed += 1
    if plan is None:
        failed += 1
    else:
        failed += max(0, plan - passed - failed - skipped)
    if passed + failed + skipped == 0:
        # Nothing was checked. That is a failure unless the program says why; meson calls both SKIP.
        skipped, failed = int(excused), int(not excused)
    if not good and run["result"] != "SKIP" and failed == 0:
        failed = 1
    if REPORT.search(run.get("stderr", "")) and failed == 0:
        failed = 1
    return passed, failed, skipped


def failures(run):
    """The failed cases with what is said right after them, and the report of a sanitizer."""
    shown = False
    for line in run.get("stdout", "").splitlines():
        if OK.match(line):
            shown = line.startswith("not ok")
        elif not line.startswith(("#", " ")):
            shown = False
        if shown:
            yield "    " + line
    if run["result"] == "OK":
        yield run.get("stderr", "")


def main(builddir, names):
    with open(os.path.join(builddir, "meson-info", "intro-tests.json"), encoding="utf-8") as f:
        known = json.load(f)
    chosen = [
        t for t in known
        if not names or t["name"] in names or any(s.split(":")[-1] in names for s in t["suite"])
    ]
    if names and not chosen:
        suites = {s.split(":")[-1] for t in known for s in t["suite"]}
        print("no such test or suite:", *names)
        print("suites:", *sorted(suites))
        print("tests:", *sorted(t["name"] for t in known))
        return 0, 1
    log = os.path.join(builddir, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.remove(log)
    subprocess.run(
        ["meson", "test", "-C", builddir, "--no-rebuild", "--print-errorlogs"]
        + [t["name"] for t in chosen if names],
        stdin=subprocess.DEVNULL, check=False,
    )
    taps = {t["name"]: t["protocol"] == "tap" for t in known}
    runs = {}
    if os.path.exists(log):
        with open(log, encoding="utf-8", errors="replace") as f:
            for line in f:
                run = json.loads(line)
                runs[run["name"].split(" / ")[-1]] = run
    passed = failed = 0
    for test in chosen:
        name = test["name"]
        if name not in runs:
            print(f"{name}: did not run")
            failed += 1
            continue
        p, f, s = count(runs[name], taps[name])
        passed += p
        failed += f
        if f or s:
            print(f"{name}: {p} passed, {f} failed, {s} skipped ({runs[name]['result']})")
        if f:
            print(*failures(runs[name]), sep="\n")
    return passed, failed


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True, errors="replace")
    total = (0, 1)
    try:
        total = main(sys.argv[1], sys.argv[2:])
    except BaseException as why:  # the last line is owed whatever went wrong, an interrupt too
        print("tally:", repr(why))
    print(f"{total[0]} passed, {total[1]} failed")
    sys.exit(1 if total[1] or not total[0] else 0)
