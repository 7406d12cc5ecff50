#!/usr/bin/env python3
"""Prints how many branches, regions and lines of `src/` the report of `cargo llvm-cov --json` has as reached."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ["branches", "regions", "lines"]


def main():
    files = json.loads(Path(sys.argv[1]).read_text())["data"][0]["files"]
    files = [f for f in files if "/src/" in f["filename"]]
    for kind in KINDS:
        count = sum(f["summary"][kind]["count"] for f in files)
        covered = sum(f["summary"][kind]["covered"] for f in files)
        print(f"{kind}: {covered} of {count}, {100 * covered / max(count, 1):.2f} %")
    print("\nbranches, regions and lines that no test reaches:")
    rows = []
    for f in files:
        missed = [f["summary"][kind]["count"] - f["summary"][kind]["covered"] for kind in KINDS]
        rows.append((missed, f["filename"].split("/src/", 1)[1]))
    for missed, name in sorted(rows, reverse=True):
        if any(missed):
            print(*(f"{n:5}" for n in missed), f" {name}")


main()
