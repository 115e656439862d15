"""Denylisted parts (IPIP-383) are left out of CARs; a denylisted root or path is 410."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.dags import leaves
from support.gateway import Gateway, car_of, directory, file_of, open_gateway

from blockstore.block import Block
from blockstore.cid import CID

PARTS = leaves(4, size=100)
FILE, NOTE, BAD = file_of(PARTS), Block.of(b"note"), Block.of(b"bad")
INNER = directory({"bad": BAD.cid, "file": FILE.cid})
LEGAL = Block.of(b"forbidden by a court")
PAGE, RULES = Block.of(b"<p>not to be seen"), Block.of(b"/page/* /seen.html 200\n/error/* /seen.html 404\n")
SITE = directory({"_redirects": RULES.cid, "seen.html": PAGE.cid})
LATE = directory({"note": NOTE.cid})
ROOT = directory({"bad": BAD.cid, "d": INNER.cid, "late": LATE.cid})


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    lists = tmp_path / "denylists"
    lists.mkdir()
    rules = (BAD.cid, PARTS[1].cid, LATE.cid)
    paths = f"/ipfs/{LEGAL.cid} gateway_status=451\n/ipfs/{SITE.cid}/seen.html\n"
    lists.joinpath("test.deny").write_text("".join(f"/ipfs/{cid}\n" for cid in rules) + paths)
    async with open_gateway(tmp_path) as opened:
        await opened.put(*PARTS, FILE, NOTE, BAD, INNER, LATE, LEGAL, ROOT, PAGE, RULES, SITE)
        yield opened


async def car(gateway: Gateway, path: str) -> list[CID]:
    answer = await gateway.get(path)
    assert answer.status == 200, answer.text
    return (await car_of(answer.body))[1]


async def test_a_car_leaves_out_blocked_blocks_and_what_only_they_lead_to(gateway: Gateway) -> None:
    rest = [PARTS[0].cid, PARTS[2].cid, PARTS[3].cid]
    for twice in "yn":
        given = await car(gateway, f"/ipfs/{ROOT.cid}?format=car&car-dups={twice}")
        assert given == [ROOT.cid, INNER.cid, FILE.cid, *rest]
        given = await car(gateway, f"/ipfs/{ROOT.cid}/d/file?format=car&dag-scope=entity&car-dups={twice}")
        assert given == [ROOT.cid, INNER.cid, FILE.cid, *rest]
    given = await car(gateway, f"/ipfs/{FILE.cid}?format=car&entity-bytes=50:250")
    assert given == [FILE.cid, PARTS[0].cid, PARTS[2].cid]


@pytest.mark.parametrize(
    "suffix", ["", "?format=raw", "?format=car", "?format=car&dag-scope=block", "?format=tar"]
)
async def test_a_blocked_root_or_end_of_a_path_is_gone(gateway: Gateway, suffix: str) -> None:
    paths = (
        f"{BAD.cid}",
        f"{ROOT.cid}/bad",
        f"{ROOT.cid}/d/bad",
        f"{LATE.cid}/note",
        f"{ROOT.cid}/late/note",
    )
    for path in paths:
        answer = await gateway.get(f"/ipfs/{path}{suffix}")
        assert (answer.status, "is blocked and cannot be provided" in answer.text) == (410, True), path


async def test_formats_that_need_a_blocked_part_break_instead_of_leaving_it_out(gateway: Gateway) -> None:
    assert (await gateway.get(f"/ipfs/{FILE.cid}?format=tar")).status == 410
    assert (await gateway.get(f"/ipfs/{FILE.cid}?filename=x.bin", Range="bytes=150-160")).status == 410
    assert (await gateway.get(f"/ipfs/{FILE.cid}?filename=x.bin", Range="bytes=0-60")).body == PARTS[0].data[
        :61
    ]


async def test_what_the_law_forbids_has_a_status_of_its_own(gateway: Gateway) -> None:
    for suffix in ("", "?format=raw", "?format=car"):
        for headers in ({}, {"Cache_Control": "only-if-cached"}):
            answer = await gateway.get(f"/ipfs/{LEGAL.cid}{suffix}", **headers)
            assert (answer.status, "is blocked and cannot be provided" in answer.text) == (451, True)
            assert "immutable" not in answer.headers["Cache-Control"]


async def test_the_rules_of_a_site_do_not_lead_to_a_blocked_path(gateway: Gateway) -> None:
    for path in ("/seen.html", "/page/x", "/error/x"):
        answer = await gateway.get(path, Host=f"{SITE.cid}.ipfs.localhost")
        assert (answer.status, PAGE.data in answer.body) == (410, False)
    assert (await gateway.get(f"/ipfs/{PAGE.cid}")).body == PAGE.data  # it is the path that is blocked
