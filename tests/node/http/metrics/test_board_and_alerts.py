"""The Grafana board and the alert rules go by series that a running node has, and by their labels."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.node import running_node

PACKAGING = Path(__file__).parents[4] / "packaging"
BOARD = PACKAGING / "grafana" / "pinfold.json"
RULES = PACKAGING / "prometheus" / "pinfold.rules.yml"
OF_PROMETHEUS = {"up", "instance", "job"}
_SERIES = re.compile(r"\b((?:ipfscluster|pinfold|process)_\w+)(\{[^}]*\})?")


def asked_by_rules() -> Iterator[str]:
    yield from re.findall(r"^ +expr: (.+)$", RULES.read_text(), re.MULTILINE)


def asked_by_board() -> Iterator[str]:
    board = json.loads(BOARD.read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (one["query"]["query"] for one in board["templating"]["list"] if one["name"] == "instance")


async def told(tmp_path: Path) -> Mapping[str, frozenset[str]]:
    """Names of the series of a node that has been asked for something, each with its labels."""
    async with running_node(tmp_path) as node, aiohttp.ClientSession() as session:
        assert node.faces.metrics is not None
        await session.get(f"{node.faces.gateway.url}/")
        text = await (await session.get(f"{node.faces.metrics.url}/metrics")).text()
    found: dict[str, frozenset[str]] = {}
    for name in re.findall(r"^# TYPE (\w+)", text, re.MULTILINE):
        found[name] = frozenset()  # of one that counts nothing yet there is its name
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = frozenset(sample.labels)
    return found


@pytest.mark.parametrize("asked", [asked_by_rules, asked_by_board], ids=["alerts", "board"])
async def test_each_series_that_is_asked_for_is_told(
    tmp_path: Path, asked: Callable[[], Iterator[str]]
) -> None:
    series = await told(tmp_path)
    expressions = list(asked())
    assert len(expressions) > 12
    for expression in expressions:
        for name, labels in _SERIES.findall(expression):
            assert name in series, expression
            named = set(re.findall(r"(\w+)(?:=~|!=|=)", labels))
            assert named - OF_PROMETHEUS <= series[name], expression


def test_each_alert_says_what_to_do() -> None:
    text = RULES.read_text()
    alerts = re.findall(r"^ +- alert: (\w+)$", text, re.MULTILINE)
    assert len(alerts) == len(set(alerts)) == text.count("action: ") == text.count("severity: ")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
async def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    rules = await asyncio.create_subprocess_exec(promtool, "check", "rules", str(RULES))
    assert await rules.wait() == 0
    async with running_node(tmp_path) as node, aiohttp.ClientSession() as session:
        assert node.faces.metrics is not None
        text = await (await session.get(f"{node.faces.metrics.url}/metrics")).read()
    metrics = await asyncio.create_subprocess_exec(
        promtool, "check", "metrics", stdin=asyncio.subprocess.PIPE
    )
    await metrics.communicate(text)
    assert metrics.returncode != 1  # 3: style alone
