#!/usr/bin/env python3
"""Checks what `weirgate demo --json` printed.

    weirgate demo --json | scripts/check-demo.py [jobs/msp/tests/demo-kpis.json]

The file has the expected KPIs of each tenant, {"tenant_demo_cca": {"tickets_created": 2, …}, …}; each key given there is
compared, numbers to nine digits.
"""

import json
import math
import sys
from pathlib import Path

EXPECTED = Path(__file__).resolve().parent.parent / "jobs/msp/tests/demo-kpis.json"
KPIS = [
    "total_minutes",
    "billable_minutes",
    "non_billable_minutes",
    "avg_resolution_minutes",
    "first_call_resolution_rate",
    "avg_satisfaction_score",
    "tickets_created",
    "tickets_closed",
    "tickets_open",
    "tickets_high_priority",
    "anomaly_detected",
    "z_score",
]
# The daily pipeline: four ingests, the KPIs, the export.
JOBS = [
    "compute_kpi",
    "generate_export",
    "ingest_csat",
    "ingest_security_alerts",
    "ingest_tickets",
    "ingest_time_entries",
]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same(found, expected):
    if is_number(found) and is_number(expected):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return type(found) is type(expected) and found == expected


def tenant_problems(result, expected):
    kpis = result["kpis"]
    for name in KPIS:
        if name not in kpis:
            yield f"KPI {name} is missing"
    for name, value in expected.items():
        if name in kpis and not same(kpis[name], value):
            yield f"KPI {name} is {kpis[name]!r} instead of {value!r}"
    kinds = sorted(job["kind"] for job in result["jobs"])
    if kinds != JOBS:
        yield f"its jobs are {kinds} instead of {JOBS}"
    for job in result["jobs"]:
        if job["state"] != "completed":
            yield f"job {job['kind']} is {job['state']}: {job.get('errors')}"
    if not is_number(result["export"]["bytes"]) or result["export"]["bytes"] <= 0:
        yield f"its export has {result['export']['bytes']!r} bytes"


def problems(document, expected):
    results = {result["tenant"]: result for result in document["tenants"]}
    if len(document["tenants"]) != 2 or sorted(results) != sorted(expected):
        yield f"the tenants are {[result['tenant'] for result in document['tenants']]} instead of {sorted(expected)}"
    for tenant, result in results.items():
        for problem in tenant_problems(result, expected.get(tenant, {})):
            yield f"{tenant}: {problem}"


def main():
    expected = json.loads((Path(sys.argv[1]) if len(sys.argv) > 1 else EXPECTED).read_text())
    text = sys.stdin.read()
    try:
        found = list(problems(json.loads(text), expected))
    except (ValueError, KeyError, TypeError) as error:
        found = [f"not the document that was expected ({type(error).__name__}: {error}):\n{text[:2000]}"]
    for problem in found:
        print(f"demo: {problem}", file=sys.stderr)
    if found:
        return 1
    compared = sum(len(kpis) for kpis in expected.values())
    print(f"demo: {len(expected)} tenants, {len(JOBS)} jobs each completed, {compared} KPIs as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
