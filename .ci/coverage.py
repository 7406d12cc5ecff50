#!/usr/bin/env python3
"""Prints how much of `src/` the report of `cargo llvm-cov --json` has as reached, and each branch
that is not.

A branch of a generic function counts as reached if any of its instances took it: the summary of the
report takes the best instance alone. The code of unit tests is left out.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path


def main():
    files = json.loads(Path(sys.argv[1]).read_text())["data"][0]["files"]
    files = sorted((f for f in files if "/src/" in f["filename"]), key=lambda f: f["filename"])
    for kind in ["regions", "lines"]:
        count = sum(f["summary"][kind]["count"] for f in files)
        covered = sum(f["summary"][kind]["covered"] for f in files)
        print(f"{kind}: {covered} of {count}, {100 * covered / max(count, 1):.2f} %")
    known, missed = 0, []
    for f in files:
        own, missed_here = branches(f)
        known += own
        missed += missed_here
    covered = known - len(missed)
    print(f"branches: {covered} of {known}, {100 * covered / max(known, 1):.2f} %")
    print("\nconditions that are never true, or never false:")
    for row in missed:
        print(row)


def branches(file):
    """Returns the number of branches, two for each condition, and a row for each that no test
    takes."""
    lines = Path(file["filename"]).read_text().split("\n")
    tests = next((n for n, line in enumerate(lines, 1) if re.match(r"mod tests \{", line)), None)
    true, false = Counter(), Counter()
    for line, column, _, _, taken, not_taken, *_ in file["branches"]:
        if tests is None or line < tests:
            true[line, column] += taken
            false[line, column] += not_taken
    name = file["filename"].split("/src/", 1)[1]
    missed = [f"{name}:{line}:{column} is never {value}: {lines[line - 1].strip()[:100]}"
              for line, column in sorted(true)
              for value, taken in [("true", true), ("false", false)]
              if not taken[line, column]]
    return 2 * len(true), missed


main()
