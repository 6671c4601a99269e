#!/usr/bin/env python3
"""Reads what `weirgate bench … --json` printed and fails where we have become slower against plain SQL of the same run.

Ratios only, since machines differ; and far below what is usual, since they are noisy.
"""

import json
import sys

# What is measured, by what it is divided, and what the ratio is at least.
BOUNDS = [
    (("drain", "jobs_per_s_1"), ("floor", "claim_finish_per_s"), 0.26),
    (("drain", "jobs_per_s_2"), ("floor", "claim_finish_per_s"), 0.24),
    (("enqueue", "ten_per_s"), ("floor", "commits_per_s"), 0.2),
    (("enqueue", "bulk_per_s"), ("floor", "copy_per_s"), 0.12),
    (("enqueue", "http_per_s"), ("floor", "commits_per_s"), 0.18),
]


def main() -> int:
    figures = {}
    for line in sys.stdin:
        report = json.loads(line)
        for name, value in report["figures"].items():
            figures[report["scenario"], name] = value
    slow = 0
    for measured, floor, least in BOUNDS:
        ratio = figures[measured] / figures[floor]
        verdict = "" if ratio >= least else "  TOO SLOW"
        slow += ratio < least
        print(f"{measured[0]:>8} {measured[1]:<12} {figures[measured]:>9,.0f}", end="")
        print(f"  {ratio:.2f} of {floor[1]}, at least {least}{verdict}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
