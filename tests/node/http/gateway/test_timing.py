"""Where the time of an answer went, told in a header."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gateway import Answer, Gateway, open_gateway
from support.sites import KEY, NAME, STATIC, publish

from node.config.sections import GatewayConfig
from node.http.gateway.server_timing import Phase, Phases

FILES = {"d/a/b.txt": b"below", "d/large.bin": b"l" * 200_000}
HEADER = re.compile(r"(names|path|block);dur=(\d+\.\d)")


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_NS_MAP", STATIC)


def _phase(told: str) -> tuple[str, float]:
    """Its name, and its milliseconds."""
    matched = HEADER.fullmatch(told)
    assert matched
    return matched[1], float(matched[2])


def phases(answer: Answer) -> list[str]:
    told = answer.headers["Server-Timing"].split(", ")
    return [_phase(one)[0] for one in told]


async def test_every_way_to_content_tells_its_phases(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(server_timing=True)) as gateway:
        root = await gateway.add(FILES)
        await publish(gateway, root)
        for query in ("a/b.txt", "large.bin", "large.bin?format=raw", "?format=car", "?format=tar", "a/"):
            assert phases(await gateway.get(f"/ipfs/{root}/{query}")) == ["path", "block"]
        assert phases(await gateway.head(f"/ipfs/{root}/large.bin")) == ["path", "block"]
        assert phases(await gateway.get(f"/ipns/{KEY.name}/a/b.txt")) == ["names", "path", "block"]
        assert phases(await gateway.get("/a/b.txt", Host=NAME)) == ["names", "path", "block"]


async def test_errors_tell_how_far_they_came(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(server_timing=True)) as gateway:
        root = await gateway.add(FILES)
        missing = await gateway.get(f"/ipfs/{root}/nowhere")
        assert (missing.status, phases(missing)) == (404, ["path"])
        lost = await gateway.get("/ipns/nobody.example.net/x")
        assert (lost.status, phases(lost)) == (500, ["names"])
        assert "Server-Timing" not in (await gateway.get("/")).headers


async def test_nothing_is_told_unless_asked_for(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    assert "Server-Timing" not in (await gateway.get(f"/ipfs/{root}/a/b.txt")).headers


@given(st.lists(st.tuples(st.sampled_from(["names", "path", "block"]), st.floats(0, 10)), min_size=1))
def test_all_of_the_time_is_some_phases(events: list[tuple[Phase, float]]) -> None:
    told, now = Phases(), 100.0
    for phase, seconds in events:
        told.begin(phase, now)
        now += seconds
    told.end(now)
    found = [_phase(one) for one in told.header().split(", ")]
    assert [name for name, _ in found] == list(dict.fromkeys(phase for phase, _ in events))
    assert sum(spent for _, spent in found) == pytest.approx((now - 100.0) * 1000, abs=0.2)
