#!/usr/bin/python3
"""Counts the tests of several runners and says it in one line.

    test_summary.py [--names] FILE...

A FILE is JUnit XML (from `meson test` or pytest), or a text file of lines `ok NAME`,
`not ok NAME` and `skip NAME` (from ./test itself).  Prints each failure with the end of what it
said, and last `N passed, N failed` (with `, N skipped` between if there are any).  Exits 1 if anything failed,
if a FILE cannot be read, or if nothing passed at all: no evidence is not success.
With --names only the names of those that failed with a line of why, and exit status 0.
"""

import re
import sys
import xml.etree.ElementTree as ET


MAX_LINES = 40  # Of a failure's words.
MAX_REASON = 300  # Characters.


class Tally:
    def __init__(self):
        self.passed, self.skipped, self.failed = 0, 0, []

    def add(self, name, failed, skipped, words="", reason=""):
        if failed:
            self.failed.append((name, words, reason.split("\n")[0][:MAX_REASON]))
        elif skipped:
            self.skipped += 1
        else:
            self.passed += 1


def read_junit(tally, text):
    """Meson puts a program's crash or bad exit on the suite, beside the cases that passed."""
    root = ET.fromstring(text)
    for suite in root.iter("testsuite"):
        failures = 0
        said = "\n".join(suite.findtext(tag) or "" for tag in ("system-out", "system-err"))
        for case in suite.findall("testcase"):
            kinds = {child.tag for child in case}
            name = " ".join(filter(None, [case.get("classname"), case.get("name")]))
            failed = bool(kinds & {"failure", "error"})
            failures += failed
            words = "\n".join(child.text or child.get("message", "") for child in case if child.tag != "properties")
            reason = next((child.get("message", "") for child in case if child.tag in ("failure", "error")), "")
            tally.add(name, failed, "skipped" in kinds, words.strip() or said, reason)
        stated = int(suite.get("failures") or 0) + int(suite.get("errors") or 0)
        for i in range(stated - failures):
            tally.add(f"{suite.get('name')} (as a whole)", True, False, said)


def read_lines(tally, text):
    for line in text.splitlines():
        match = re.match(r"(ok|not ok|skip)\s+(.*)", line)
        if match:
            tally.add(match.group(2), match.group(1) == "not ok", match.group(1) == "skip")


def main(argv):
    tally = Tally()
    only_names = argv[1:2] == ["--names"]
    for path in argv[2 if only_names else 1:]:
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            if text.lstrip().startswith("<"):
                read_junit(tally, text)
            else:
                read_lines(tally, text)
        except (OSError, ET.ParseError, ValueError) as e:
            tally.add(f"{path}: {e}", True, False)
    if only_names:
        for name, _, reason in tally.failed:
            print(f"FAILED     {name}{': ' if reason else ''}{reason}")
        return 0
    for name, words, _ in tally.failed:
        print(f"FAILED {name}")
        for line in words.strip().splitlines()[-MAX_LINES:]:
            print(f"    {line}")
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed{skipped}, {len(tally.failed)} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
