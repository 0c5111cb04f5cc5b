"""Runs ctest and puts the reason of every skipped test before ctest's own summary.

usage: report.py ctest --output-junit FILE ...      Exit status: ctest's own.
"""

import re
import subprocess
import sys
import xml.etree.ElementTree as xml

REASON = re.compile(r"^(?:.*: Skipped|SKIP:?)\s*(.*)$")


def reason_of(test):
    """The line that GTEST_SKIP or a script's `SKIP: ...` gave, else why ctest did not run it."""
    output = (test.findtext("system-out") or "").splitlines()
    for position, line in enumerate(output):
        match = REASON.match(line.strip())
        if not match:
            continue
        following = output[position + 1].strip() if position + 1 < len(output) else ""
        return match.group(1) or following
    skipped = test.find("skipped")
    return skipped.get("message", "no reason given") if skipped is not None else "no reason given"


def main():
    command = sys.argv[1:]
    report = command[command.index("--output-junit") + 1]
    held = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ctest:
        for line in ctest.stdout:
            if held or "% tests passed" in line:
                held.append(line)
            else:
                print(line, end="", flush=True)
    try:
        tests = xml.parse(report).getroot().iter("testcase")
    except (OSError, xml.ParseError):
        tests = []
    skipped = [test for test in tests if test.get("status") in ("notrun", "disabled")]
    if skipped:
        print(f"{len(skipped)} skipped:")
        for test in skipped:
            print(f"  {test.get('name')}: {reason_of(test)}")
    print("".join(held), end="")
    return ctest.returncode


if __name__ == "__main__":
    sys.exit(main())
