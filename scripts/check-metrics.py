#!/usr/bin/env python3
"""Runs Prometheus against a live `weirgate up`, lets it do some work, and evaluates all that is asked of the metrics.

    scripts/check-metrics.py API_URL METRICS_URL SERVICE_TOKEN

METRICS_URL is that of WEIRGATE_METRICS_LISTEN. Every query of dashboards/grafana/*.json must return numbers, every rule of
dashboards/prometheus/alerts.yml must evaluate, and promtool must find nothing wrong with the names and help texts.

Runs the pipelines of every tenant for one day, with a backfill and a pause of a queue beside them: for a development database only. Needs
Debian's prometheus and PyYAML; scripts/tools prints a folder whose python3 has that.
"""

import json
import math
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DATE = "2026-01-20"
LIMIT = 60
# What Grafana puts into a query itself; as long as all of this takes, so that what was done is not yet forgotten.
RATE_INTERVAL = "2m"


def call(url, method="GET", token=None, body=None, accept=None):
    request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
    for name, value in [
        ("Authorization", f"Bearer {token}" if token else None),
        ("Content-Type", "application/json" if body is not None else None),
        ("Accept", accept),
    ]:
        if value:
            request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {url}: {error.code} {error.read().decode(errors='replace')}")


def until(what, look, limit=LIMIT):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.25)
    sys.exit(f"{what}: not within {limit} s")


class Weirgate:
    """The service under test, as automation calls it."""

    def __init__(self, url, token):
        self.url, self.token = url.rstrip("/"), token

    def do(self, method, path, body=None):
        return json.loads(call(self.url + path, method, self.token, body) or "null")

    def work(self):
        """Jobs of all kinds end; then one backfill and two lanes of a paused queue have something left to do."""
        tenants = [tenant["slug"] for tenant in self.do("GET", "/internal/tenants")["items"]]
        workflows = [
            self.do("POST", f"/internal/pipelines/daily?tenant_id={tenant}&date={DATE}&force=true")["workflow_id"]
            for tenant in tenants
        ]
        for workflow in workflows:
            until(f"the end of workflow {workflow}", lambda workflow=workflow: self.is_over(workflow))
        self.do("POST", "/internal/queues/export/pause")
        for tenant in tenants:
            self.do("POST", f"/internal/exports/generate?tenant_id={tenant}&date={DATE}&format=csv&force=true")
        backfill = {"kind": "compute_kpi", "tenants": "all", "from": "2025-01-01", "to": DATE, "reprocess": "all"}
        backfill = self.do("POST", "/internal/backfills", backfill)["id"]
        self.do("POST", f"/internal/backfills/{backfill}/pause")
        return backfill

    def is_over(self, workflow):
        jobs = self.do("GET", f"/internal/workflows/{workflow}")["jobs"]
        states = {job["state"] for job in jobs}
        if states & {"discarded", "cancelled"}:
            sys.exit(f"workflow {workflow}: {states}")
        return states == {"completed"}

    def tidy(self, backfill):
        self.do("POST", f"/internal/backfills/{backfill}/cancel")
        self.do("POST", "/internal/queues/export/resume")


class Prometheus:
    """A server of its own with the rules of dashboards/prometheus, which scrapes one address every second."""

    def __init__(self, folder, target):
        config = yaml.safe_load((ROOT / "dashboards/prometheus/prometheus.yml").read_text())
        names = {scrape["job_name"] for scrape in config["scrape_configs"]}
        if not {"weirgate-api", "weirgate-worker"} <= names:
            sys.exit(f"prometheus.yml scrapes {names}")
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(ROOT / "dashboards/prometheus" / name) for name in config["rule_files"]]
        # API and worker are one process.
        config["scrape_configs"] = [{"job_name": "weirgate-api", "static_configs": [{"targets": [target]}]}]
        path = Path(folder) / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        self.log = Path(folder) / "prometheus.log"
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"],
            stdout=self.log.open("w"), stderr=subprocess.STDOUT, cwd=folder,
        )

    def ask(self, path, **parameters):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            return {"error": json.load(error).get("error", error.code)}
        except OSError:
            if self.process.poll() is not None:
                sys.exit(f"prometheus has ended:\n{self.log.read_text()}")
            return None

    def numbers(self, query):
        """How many numbers the query returns, or what is wrong with it."""
        data = self.ask("query", query=query)
        if data is None or "error" in data:
            return 0, (data or {}).get("error", "no answer")
        values = [float(row["value"][1]) for row in data["result"]] if data["resultType"] == "vector" else []
        return sum(not math.isnan(value) for value in values), f"{len(values)} rows without a number"

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def queries():
    """(where, PromQL) of every panel and variable, with Grafana's own variables filled in."""
    for path in sorted((ROOT / "dashboards/grafana").glob("*.json")):
        board = json.loads(path.read_text())
        variables = {variable["name"]: variable for variable in board["templating"]["list"]}
        for variable in variables.values():
            if variable["type"] == "query":
                series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
                yield f"{path.name}: ${variable['name']}", f"count by ({label}) ({fill(series, variables)})"
        for panel in board["panels"]:
            if panel["type"] == "row":
                continue
            if not panel["targets"] or not panel["description"]:
                sys.exit(f"{path.name}: {panel['title']} has no query or no description")
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", fill(target["expr"], variables)


def fill(query, variables):
    query = query.replace("$__rate_interval", RATE_INTERVAL)
    for name in re.findall(r"\$(\w+)", query):
        if name not in variables:
            sys.exit(f"${name} is no variable: {query}")
        query = query.replace(f"${name}", ".*")
    return query


def check_names(url):
    for accept, suffix in [("text/plain", ""), ("application/openmetrics-text", "# EOF\n")]:
        text = call(f"{url}/metrics", accept=accept)
        if not text.decode().endswith(suffix):
            sys.exit(f"{url}/metrics as {accept} has no end")
    linted = subprocess.run(["promtool", "check", "metrics"], input=call(f"{url}/metrics"), capture_output=True)
    if linted.returncode != 0:
        sys.exit(f"promtool check metrics, of {url}/metrics:\n{linted.stdout.decode()}{linted.stderr.decode()}")


def check_queries(prometheus, weirgate):
    asked = list(queries())
    wrong = {}

    def all_have_data():
        wrong.clear()
        for where, query in asked:
            count, why = prometheus.numbers(query)
            if count == 0:
                wrong[where] = f"{query}\n    {why}"
        return not wrong

    end = time.monotonic() + 15
    while not all_have_data():
        # A route's counters begin with its first request, which is no rate yet: that takes another one after a scrape.
        weirgate.do("GET", "/internal/tenants")
        if time.monotonic() > end:
            sys.exit("\n".join(f"{where}: {problem}" for where, problem in wrong.items()))
        time.sleep(0.5)
    return len(asked)


def check_rules(prometheus):
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        if rule["health"] != "ok":
            sys.exit(f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}")
        if rule["state"] == "firing":
            sys.exit(f"{rule['name']} fires: {rule['alerts']}")
    return len(rules)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    api, metrics, token = sys.argv[1:]
    weirgate, metrics = Weirgate(api, token), metrics.rstrip("/").removesuffix("/metrics")
    with tempfile.TemporaryDirectory(prefix="weirgate-metrics.") as folder:
        prometheus = Prometheus(folder, metrics.removeprefix("http://"))
        try:
            until("the first scrape", lambda: prometheus.numbers("up == 1")[0])
            backfill = weirgate.work()
            for url in (weirgate.url, metrics):
                check_names(url)
            count = check_queries(prometheus, weirgate)
            until("the rules' evaluation", lambda: all(
                rule["health"] != "unknown" for group in prometheus.ask("rules")["groups"] for rule in group["rules"]
            ))
            rules = check_rules(prometheus)
            weirgate.tidy(backfill)
        finally:
            prometheus.stop()
    print(f"{count} queries of the dashboards return numbers, {rules} alerts evaluate and none fires")


if __name__ == "__main__":
    main()
