"""The alerts and the dashboard that the chart ships speak of metrics that a server tells."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from nextlabel import Client
from nextlabel_server.rpc.metrics import METRICS
from tests.inference import graphs
from tests.servers import ServerProcess, wait_for

ROOT = Path(__file__).parents[2]
FILES = ROOT / "helm" / "nextlabel" / "files"
ALERT_TESTS = Path(__file__).parent / "alerts_test.yaml"
ALERTS = [
    rule
    for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
FROM_SCRAPING = {"namespace", "job", "instance"}

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="prometheus and promtool (Debian: prometheus) are not installed",
)


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def filled(query, interval="5m"):
    """A query of the dashboard as Grafana sends it."""
    for variable, value in {"namespace": ".*", "job": ".*", "__rate_interval": interval}.items():
        query = query.replace(f"${variable}", value)
    assert "$" not in query
    return query


@needs_prometheus
def test_each_alert_fires_when_it_should_and_not_before():
    promtool("check", "rules", str(FILES / "alerts.yaml"))
    promtool("test", "rules", str(ALERT_TESTS))


def test_the_tests_of_alerts_raise_each_one_and_leave_each_one_silent():
    checks = [
        check
        for test in yaml.safe_load(ALERT_TESTS.read_text())["tests"]
        for check in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in ALERTS}
    assert {check["alertname"] for check in checks if check.get("exp_alerts")} == names
    assert {check["alertname"] for check in checks if not check.get("exp_alerts")} == names


def test_the_guide_says_what_to_do_about_each_alert():
    guide = (ROOT / "docs" / "operations.md").read_text()
    section = guide.split("\n## Alerts\n")[1].split("\n## ")[0]
    assert re.findall(r"^### (\w+)$", section, re.MULTILINE) == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("query", [*QUERIES, *(rule["expr"] for rule in ALERTS)])
def test_queries_name_declared_metrics_and_their_labels(query):
    declared = {}
    for one in METRICS:
        suffixes = ("_bucket", "_count", "_sum") if one.kind == "histogram" else ("",)
        for suffix in suffixes:
            declared[one.name + suffix] = {*one.labels, *(["le"] if suffix == "_bucket" else [])}
    grouping = r"\b(?:by|on) \(([^)]*)\)"
    grouped = {label for found in re.findall(grouping, query) for label in found.split(", ")}
    plain = re.sub(grouping, "", query)
    named = re.findall(r"\b((?:grpc|nextlabel|process)_\w+)(?:\{([^}]*)\})?", plain)
    assert named
    known = FROM_SCRAPING.union(*(declared.get(name, ()) for name, _ in named))
    assert grouped <= known
    for name, within in named:
        labels = set(re.findall(r"(\w+)(?:=~|=|!=|!~)", within))
        assert name.startswith("process_") or name in declared, name
        assert labels <= declared.get(name, set()) | FROM_SCRAPING, (name, labels)


def test_every_metric_is_on_the_dashboard():
    shown = " ".join(QUERIES)
    assert not [one.name for one in METRICS if one.name not in shown]


def test_panels_stand_side_by_side_and_say_what_they_show():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
    for one, other in combinations([panel["gridPos"] for panel in DASHBOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


@needs_prometheus
def test_every_query_of_the_dashboard_finds_something(tmp_path, probabilities):
    graphs.save(tmp_path, "same", graphs.identity(shape=("rows", 5)))
    graphs.save(tmp_path, "broken", b"")
    options = {"models": [str(tmp_path)], "metrics_address": "127.0.0.1:0"}
    with ServerProcess(**options) as server, Client(server.address) as client:
        address = server.events("serving")[0]["metrics_address"]
        scrape = {"job_name": "labels", "static_configs": [{"targets": [address]}]}
        config = {"global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"}}
        (tmp_path / "prometheus.yml").write_text(
            yaml.safe_dump({**config, "scrape_configs": [scrape]})
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        prometheus = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def found(query):
            asked = urllib.parse.urlencode({"query": filled(query, interval="10s")})
            url = f"http://127.0.0.1:{port}/api/v1/query?{asked}"
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return json.load(answer)["data"]["result"]
            except (ConnectionError, urllib.error.URLError):
                return []

        def missing():
            client.select(inputs={"x": probabilities}, model="same", strategy="margin", budget=3)
            stream = iter([probabilities[:500], probabilities[500:]])
            client.select(stream, strategy="entropy", budget=3)
            with pytest.raises(Exception, match="broken"):
                client.select(
                    inputs={"x": probabilities}, model="broken", strategy="margin", budget=3
                )
            time.sleep(0.25)
            return [query for query in QUERIES if not found(query)]

        try:
            assert wait_for(lambda: not missing(), 30), missing()
        finally:
            prometheus.kill()
            prometheus.wait()
