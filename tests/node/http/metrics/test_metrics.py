"""What Prometheus is told of a running node: the series of the docs, with values that are true."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from support.memory_cluster import cid
from support.node import eventually, running_node

from blockstore.block import Block
from cluster.pin import PinOptions, Wish
from node.config.sections import Config, MetricsConfig
from node.http.admin.callers import OpenToOthers
from node.node import Node

PAGE = Path(__file__).parents[4] / "docs" / "metrics.md"
UPSTREAM = {
    *("ipfscluster_pins", "ipfscluster_pins_pin_queued", "ipfscluster_pins_pinning"),
    *("ipfscluster_pins_pin_error", "ipfscluster_pins_ipfs_pins", "ipfscluster_pins_pin_add"),
    *("ipfscluster_pins_pin_add_errors", "ipfscluster_blocks_put", "ipfscluster_blocks_put_errors"),
    *("ipfscluster_blocks_added", "ipfscluster_blocks_added_size", "ipfscluster_informer_disk"),
}
"""What ipfs-cluster 1.1.6 told when it was asked; the informer tells only while an IPFS node runs."""


class Scrapes:
    """Asks one node."""

    def __init__(self, node: Node, session: aiohttp.ClientSession) -> None:
        assert node.faces.metrics is not None
        self.node, self._session = node, session
        self._url = f"{node.faces.metrics.url}/metrics"

    async def text(self, **headers: str) -> str:
        async with self._session.get(self._url, headers=headers) as response:
            assert response.status == 200
            return await response.text()

    async def values(self) -> Mapping[str, float]:
        """By name, labels as they stand there; of series without a label, the name alone."""
        families = text_string_to_metric_families(await self.text())
        return {
            sample.name
            + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


@asynccontextmanager
async def scraped(tmp_path: Path, config: Config | None = None) -> AsyncIterator[Scrapes]:
    async with running_node(tmp_path / "node", config) as node, aiohttp.ClientSession() as session:
        yield Scrapes(node, session)


async def test_a_node_tells_the_series_of_the_docs_and_no_others(tmp_path: Path) -> None:
    documented = set(re.findall(r"^\| `(\w+)", PAGE.read_text(), re.MULTILINE))
    async with scraped(tmp_path) as ask:
        told = set(re.findall(r"^# TYPE (\w+)", await ask.text(), re.MULTILINE))
    told = {name for name in told if not name.startswith("process_")}
    assert told == documented
    assert told >= UPSTREAM


async def test_values_are_those_of_the_moment(tmp_path: Path) -> None:
    blocks = [Block.of(f"{number}".encode()) for number in range(7)]
    async with scraped(tmp_path) as ask:
        parts = ask.node.parts
        assert (await ask.values())["ipfscluster_pins"] == 0
        await parts.blocks.put_many(blocks)
        await asyncio.gather(*(parts.add_service.pin_root(block.cid, Wish()) for block in blocks))
        found = await ask.values()
        assert found["ipfscluster_pins"] == found["ipfscluster_pins_ipfs_pins"] == 7
        assert found["ipfscluster_blocks_added"] == found["pinfold_store_blocks"] == 7
        assert found["ipfscluster_blocks_added_size"] == found["pinfold_store_bytes"] == 7
        assert (
            found["ipfscluster_pins_pin_add"] == found["pinfold_operations_total kind=pin result=done"] == 7
        )
        await parts.cluster.unpin(blocks[0].cid)
        await parts.cluster.tracking.removals_done()
        found = await ask.values()
        assert found["ipfscluster_pins"] == found["ipfscluster_pins_ipfs_pins"] == 6
        assert found["pinfold_operations_total kind=unpin result=done"] == 1


async def test_what_cannot_be_had_is_an_error_and_is_counted(tmp_path: Path) -> None:
    async with scraped(tmp_path) as ask:
        await ask.node.parts.cluster.pin(cid(1), PinOptions())

        async def failed() -> bool:
            return (await ask.values())["ipfscluster_pins_pin_error"] == 1

        await eventually(failed)
        found = await ask.values()
        assert found["ipfscluster_pins_pin_add_errors"] == 1
        assert found["pinfold_operations_failing kind=pin"] == 1
        assert found["ipfscluster_pins_pinning"] == found["ipfscluster_pins_pin_queued"] == 0


async def test_requests_are_counted_by_listener_and_status(tmp_path: Path) -> None:
    async with scraped(tmp_path) as ask, aiohttp.ClientSession() as session:
        for path, times in (("/ipfs/nonsense", 2), ("/", 3)):
            for _ in range(times):
                await session.get(f"{ask.node.faces.gateway.url}{path}")
        await session.get(f"{ask.node.faces.api.url}/nothing")
        await session.post(f"{ask.node.faces.rpc.url}/api/v0/version")
        found = await ask.values()
        assert found["pinfold_http_requests_total listener=gateway status=400"] == 2
        assert found["pinfold_http_requests_total listener=gateway status=200"] == 3
        assert found["pinfold_http_requests_total listener=api status=404"] == 1
        assert found["pinfold_http_requests_total listener=rpc status=200"] == 1
        assert found["pinfold_http_request_seconds_count listener=gateway"] == 5
        assert found["pinfold_http_request_seconds_bucket le=+Inf listener=gateway"] == 5
        assert found["pinfold_http_request_seconds_sum listener=gateway"] > 0


async def test_openmetrics_where_a_scraper_asks_for_it(tmp_path: Path) -> None:
    async with scraped(tmp_path) as ask:
        text = await ask.text(Accept="application/openmetrics-text;version=1.0.0")
        assert text.endswith("# EOF\n")
        found = openmetrics(text)  # type: ignore[no-untyped-call]  # the library does not say
        assert {family.name for family in found} >= UPSTREAM


async def test_a_node_says_where_it_listens_for_scrapes(tmp_path: Path) -> None:
    async with scraped(tmp_path) as ask:
        assert ask.node.faces.metrics is not None
        written = json.loads((tmp_path / "node" / "addresses.json").read_text())
        assert written["metrics"] == ask.node.faces.metrics.url


async def test_switched_off_there_is_no_listener(tmp_path: Path) -> None:
    async with running_node(tmp_path, replace(Config(), metrics=MetricsConfig(enabled=False))) as node:
        assert node.faces.metrics is None
        assert "metrics" not in json.loads((tmp_path / "addresses.json").read_text())


async def test_a_page_of_another_name_is_not_answered(tmp_path: Path) -> None:
    async with scraped(tmp_path) as ask, aiohttp.ClientSession() as session:
        assert ask.node.faces.metrics is not None
        url = f"{ask.node.faces.metrics.url}/metrics"
        assert (await session.get(url, headers={"Host": "evil.example"})).status == 403
        assert (await session.post(url)).status == 405
        assert (await session.get(url.replace("/metrics", "/debug/vars"))).status == 404


async def test_a_secret_is_asked_for_where_that_is_set(tmp_path: Path) -> None:
    closed = replace(Config(), metrics=MetricsConfig(auth="always"))
    async with running_node(tmp_path, closed) as node, aiohttp.ClientSession() as session:
        assert node.faces.metrics is not None
        url = f"{node.faces.metrics.url}/metrics"
        assert (await session.get(url)).status == 401
        secret = (tmp_path / "api.secret").read_text().strip()
        assert (await session.get(url, headers={"Authorization": f"Bearer {secret}"})).status == 200


async def test_open_to_other_machines_it_wants_a_secret(tmp_path: Path) -> None:
    open_to_all = replace(Config(), metrics=MetricsConfig(host="0.0.0.0"))
    with pytest.raises(OpenToOthers, match=r"metrics\.auth always"):
        async with running_node(tmp_path, open_to_all):
            pass
