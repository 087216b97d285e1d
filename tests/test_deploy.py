"""Alert rules and dashboard: what they ask for is exposed, each rule has a case, and promtool agrees."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.real.install import tool
from tests.running import ROOT, Process, eventually

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
CASES = DEPLOY / "prometheus" / "alerts_test.yaml"
DASHBOARD = DEPLOY / "grafana" / "playtrail.json"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
BY_PROMETHEUS = {"up"}
"""Metrics that Prometheus makes itself."""


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[str]:
    """The dashboard's, with values in place of Grafana's variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m").replace("$cluster", ".*").replace("$group", ".*")


def asked(expression: str) -> set[str]:
    """The metrics of a query: the names that are no function, label, word of PromQL or text in quotes."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\b(by|on|group_left|ignoring|without) *\([^)]*\)|\[[^]]*\]', " ", expression)
    names = set(re.findall(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", bare))
    return names - {"and", "or", "unless", "bool", "max", "min", "sum", "Inf"}


def exposed(text: str) -> set[str]:
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    return {name + suffix for name, kind in kinds for suffix in SUFFIXES.get(kind, ("",))}


async def metrics_of(http: aiohttp.ClientSession, url: str, wanted: str) -> str:
    async def text() -> str:
        try:
            async with http.get(url + "/metrics") as answer:
                found = await answer.text()
        except aiohttp.ClientConnectionError:
            return ""
        return found if wanted in found else ""

    return str(await eventually(text, f"{wanted} in {url}/metrics"))


async def test_dashboard_and_rules_ask_for_what_is_exposed(tmp_path: Path, unused_tcp_port: int) -> None:
    env = {"PLAYTRAIL_DATA": str(tmp_path)}
    async with (
        Process("gateway", "--port", "0", env=env) as gateway,
        Process("consume", "--metrics", f"127.0.0.1:{unused_tcp_port}", env=env),
        aiohttp.ClientSession() as http,
    ):
        text = await metrics_of(http, f"http://127.0.0.1:{unused_tcp_port}", "kafka_partition_latest_offset")
        names = exposed(text) | exposed(await metrics_of(http, await gateway.url(), "playtrail_spool_events"))
    expressions = [*queries(), *(rule["expr"] for rule in rules())]
    wanted = set().union(*map(asked, expressions))
    assert all(map(asked, expressions))
    assert wanted - names - BY_PROMETHEUS == set()
    assert {name for name in wanted if name.startswith("kafka_")} >= {
        "kafka_consumergroup_group_max_lag_seconds", "kafka_consumergroup_group_sum_lag",
        "kafka_partition_latest_offset",
    }  # fmt: skip


def test_each_rule_has_a_case_that_fires_and_says_what_to_do() -> None:
    cases = yaml.safe_load(CASES.read_text())["tests"]
    samples = [check["exp_samples"] for case in cases for check in case["promql_expr_test"]]
    fired = {re.findall('alertname="(.+?)"', sample["labels"])[0] for found in samples for sample in found}
    assert fired == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "warning"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]


def promtool(*arguments: str) -> None:
    result = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.real
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", str(RULES)),
        ("check", "config", str(DEPLOY / "prometheus" / "prometheus.yaml")),
        ("test", "rules", str(CASES)),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    promtool(*arguments)


@pytest.mark.real
def test_the_dashboards_queries_are_promql(tmp_path: Path) -> None:
    made = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": made}]}))
    promtool("check", "rules", str(file))
