"""`Ipfs-Uri` (IPIP-548) and the `X-Ipfs-Path` before it: what was asked for, on errors and redirects too."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.gateway import Gateway, directory, open_gateway
from support.ipns import Key
from support.sites import KEY, NAME, STATIC, publish

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from node.config.sections import GatewayConfig

LEAF = Block.of(b"leaf")
NAMES = ("100% sure.txt", "a#b?c.txt", "日本", "~-_.", "a:b@c!$&'()*+,;=", "...", "back\\slash")
QUOTED = (
    "100%25%20sure.txt",
    "a%23b%3Fc.txt",
    "%E6%97%A5%E6%9C%AC",
    "~-_.",
    "a%3Ab%40c%21%24%26%27%28%29%2A%2B%2C%3B%3D",
    "...",
    "back%5Cslash",
)
ROOT = directory({"d": directory({"x": LEAF.cid}).cid, **dict.fromkeys(NAMES, LEAF.cid)})


@pytest.fixture(autouse=True)
async def stored(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    await gateway.put(LEAF, directory({"x": LEAF.cid}), ROOT)
    await publish(gateway, ROOT.cid)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_NS_MAP", STATIC)


@pytest.fixture
async def gateway(names: None, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with open_gateway(tmp_path) as opened:
        yield opened


async def test_each_segment_is_escaped_and_the_slash_at_the_end_is_kept(gateway: Gateway) -> None:
    for quoted in QUOTED:
        answer = await gateway.head(f"/ipfs/{ROOT.cid}/{quoted}")
        assert (answer.status, answer.headers["Ipfs-Uri"]) == (200, f"ipfs://{ROOT.cid}/{quoted}")
    answer = await gateway.head(f"/ipfs/{ROOT.cid}/d/")
    assert answer.headers["Ipfs-Uri"] == f"ipfs://{ROOT.cid}/d/"
    odd = await gateway.head(f"/ipfs/{ROOT.cid}//d/./x/../x")
    assert odd.headers["Ipfs-Uri"] == f"ipfs://{ROOT.cid}/d/x"


async def test_roots_are_told_in_their_canonical_form(gateway: Gateway) -> None:
    old = CID.v0(ROOT.cid.multihash)
    for root in (old, ROOT.cid.in_base("z"), ROOT.cid.in_base("f"), str(ROOT.cid).upper()):
        answer = await gateway.head(f"/ipfs/{root}/~-_.")
        assert (answer.status, answer.headers["Ipfs-Uri"]) == (200, f"ipfs://{ROOT.cid}/~-_.")
    answer = await gateway.head(f"/ipns/{NAME.upper()}./d/x")
    assert (answer.status, answer.headers["Ipfs-Uri"]) == (200, f"ipns://{NAME}/d/x")


@pytest.mark.parametrize(
    ("status", "path", "headers", "uri"),
    [
        (301, f"/ipfs/{ROOT.cid}/d?x=1", {}, f"ipfs://{ROOT.cid}/d"),
        (302, f"/ipns/{KEY.name.peer_id}/d/", {}, f"ipns://{KEY.name}/d/"),
        (404, f"/ipfs/{ROOT.cid}/none%20here/", {}, f"ipfs://{ROOT.cid}/none%20here/"),
        (404, f"/ipfs/{Block.of(b'gone').cid}", {}, f"ipfs://{Block.of(b'gone').cid}"),
        (400, f"/ipfs/{ROOT.cid}/~-_.", {"Range": "bytes=x"}, f"ipfs://{ROOT.cid}/~-_."),
        (406, f"/ipfs/{ROOT.cid}/d?format=dag-json", {}, f"ipfs://{ROOT.cid}/d"),
        (412, f"/ipfs/{ROOT.cid}/~-_.", {"If-Match": '"x"'}, f"ipfs://{ROOT.cid}/~-_."),
        (416, f"/ipfs/{ROOT.cid}/~-_.", {"Range": "bytes=9-"}, f"ipfs://{ROOT.cid}/~-_."),
        (500, f"/ipns/{Key(99).name}/a", {}, f"ipns://{Key(99).name}/a"),
        (404, "/none", {"Host": NAME}, f"ipns://{NAME}/none"),
        (301, "/d", {"Host": f"{ROOT.cid}.ipfs.localhost"}, f"ipfs://{ROOT.cid}/d"),
    ],
)
async def test_errors_and_redirects_tell_it_too(
    gateway: Gateway, status: int, path: str, headers: dict[str, str], uri: str
) -> None:
    answer = await gateway.get(path, **headers)
    assert (answer.status, answer.headers["Ipfs-Uri"]) == (status, uri)
    assert "Ipfs-Uri" in answer.headers["Access-Control-Expose-Headers"]
    assert "X-Ipfs-Path" not in answer.headers
    assert "X-Ipfs-Path" not in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "path", ["/ipfs/nonsense", "/ipfs/", "/ipns/nonsense", "/other", "/", f"/ipfs/{ROOT.cid}/../x"]
)
async def test_what_names_no_content_has_none(gateway: Gateway, path: str) -> None:
    answer = await gateway.get(path)
    assert answer.status in (200, 400, 404)
    assert "Ipfs-Uri" not in answer.headers


async def test_a_uri_that_is_too_long_for_a_header_is_left_out(gateway: Gateway) -> None:
    fits = "x" * (8192 - len(f"ipfs://{ROOT.cid}/"))
    assert (await gateway.get(f"/ipfs/{ROOT.cid}/{fits}")).headers["Ipfs-Uri"].endswith(fits)
    longer = await gateway.get(f"/ipfs/{ROOT.cid}/{fits}x")
    assert longer.status == 404
    assert "Ipfs-Uri" not in longer.headers


async def test_the_old_header_is_on_errors_too_and_never_holds_other_than_ascii(
    names: None, tmp_path: Path
) -> None:
    async with open_gateway(tmp_path / "other", GatewayConfig(x_ipfs_path=True)) as gateway:
        await gateway.put(ROOT)
        answer = await gateway.get(f"/ipfs/{ROOT.cid}/none%20here/")
        assert (answer.status, answer.headers["X-Ipfs-Path"]) == (404, f"/ipfs/{ROOT.cid}/none here/")
        for odd in ("%C3%B6", "%0A", "%0D%0AX-Evil:1", "%7F", "%FF"):
            answer = await gateway.get(f"/ipfs/{ROOT.cid}/{odd}")
            assert answer.status == 404
            assert "X-Ipfs-Path" not in answer.headers
            assert "X-Evil" not in answer.headers


async def test_a_percent_sign_that_escapes_nothing_is_refused(gateway: Gateway) -> None:
    for path in ("%", "a%2", "%zz", "%%20", "100%", "%u0041"):
        answer = await gateway.get(f"/ipfs/{ROOT.cid}/{path}")
        assert (answer.status, "two hex digits" in answer.text) == (400, True)


async def test_a_dag_pb_name_in_a_key_position_is_no_content_of_ipns(gateway: Gateway) -> None:
    answer = await gateway.get(f"/ipns/{CID.v1(DAG_PB, KEY.name.multihash)}/")
    assert (answer.status, answer.headers["Location"]) == (302, f"/ipns/{KEY.name}/")
