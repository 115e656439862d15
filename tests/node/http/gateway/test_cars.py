"""CARs (spec: trustless gateway): which blocks, in which order, and what the answer says of itself."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError
from support.dags import chain, leaves
from support.dags import node as plain_node
from support.gateway import Gateway, car_of, directory, file_of, open_gateway

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR, RAW
from blockstore.unixfs.importing.options import ImportFlags
from node.config.sections import GatewayConfig
from node.http.gateway.formats.archive import BROKEN_OFF

CAR = "application/vnd.ipld.car"
IMMUTABLE = "public, max-age=29030400, immutable"


Tree = tuple[Block, Block, Block, list[Block], Block]
Broken = tuple[Block, list[Block]]


async def car(gateway: Gateway, path: str, **headers: str) -> list[CID]:
    answer = await gateway.get(path, **headers)
    assert answer.status == 200, answer.body
    return (await car_of(answer.body))[1]


@pytest.fixture
async def tree(gateway: Gateway) -> Tree:
    """d/{file: five leaves, twin: the same, note}; a leaf comes twice in the file."""
    parts = [*leaves(4, size=100), leaves(1, size=100)[0]]
    file, note = file_of(parts), Block.of(b"note")
    inner = directory({"file": file.cid, "note": note.cid, "twin": file.cid})
    root = directory({"d": inner.cid})
    await gateway.put(*parts, file, note, inner, root)
    return root, inner, file, parts, note


async def test_a_whole_dag_is_given_once_and_depth_first(gateway: Gateway, tree: Tree) -> None:
    root, inner, file, parts, note = tree
    answer = await gateway.get(f"/ipfs/{root.cid}?format=car")
    roots, given = await car_of(answer.body)
    assert roots == (root.cid,)
    assert given == [root.cid, inner.cid, file.cid, *(p.cid for p in parts[:4]), note.cid]
    assert answer.headers["Content-Type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert answer.headers["Etag"].startswith(f'W/"{root.cid}.car.')
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{root.cid}.car"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Accept-Ranges"] == "none"
    assert answer.headers["Cache-Control"] == IMMUTABLE


async def test_the_root_of_an_archive_is_what_the_path_leads_to(gateway: Gateway, tree: Tree) -> None:
    """Importing it pins that, and all of it is there."""
    root, inner, file, *_ = tree
    for path, end in (("", root), ("/d", inner), ("/d/file", file)):
        answer = await gateway.get(f"/ipfs/{root.cid}{path}?format=car")
        assert (await car_of(answer.body))[0] == (end.cid,)


async def test_duplicates_are_given_where_they_are_asked_for(gateway: Gateway, tree: Tree) -> None:
    root, inner, file, parts, note = tree
    answer = await gateway.get(f"/ipfs/{root.cid}", Accept=f"{CAR}; version=1; order=dfs; dups=y")
    _, given = await car_of(answer.body)
    whole = [file.cid, *(part.cid for part in parts)]
    assert given == [root.cid, inner.cid, *whole, note.cid, *whole]
    assert answer.headers["Content-Type"] == f"{CAR}; version=1; order=dfs; dups=y"


@pytest.mark.parametrize("scope", ["block", "entity", "all"])
async def test_the_blocks_of_the_path_come_first_whatever_the_scope(
    gateway: Gateway, tree: Tree, scope: str
) -> None:
    root, inner, file, parts, _ = tree
    given = await car(gateway, f"/ipfs/{root.cid}/d/file?format=car&dag-scope={scope}")
    below = [] if scope == "block" else [part.cid for part in parts[:4]]
    assert given == [root.cid, inner.cid, file.cid, *below]


async def test_the_entity_of_a_directory_is_its_own_block(gateway: Gateway, tree: Tree) -> None:
    root, inner, *_ = tree
    assert await car(gateway, f"/ipfs/{root.cid}/d?format=car&dag-scope=entity") == [root.cid, inner.cid]


async def test_a_sharded_directory_is_walked_shard_by_shard(gateway: Gateway) -> None:
    files = {f"many/{number:03}": b"%d" % number for number in range(600)}
    root = await gateway.add(files, ImportFlags(max_directory_links=10))
    shards = await car(gateway, f"/ipfs/{root}?format=car&dag-scope=entity")
    assert shards[0] == root
    assert len(shards) > 100
    assert all(cid.codec != RAW for cid in shards)
    given = await car(gateway, f"/ipfs/{root}/007?format=car&dag-scope=block")
    assert given[0] == root
    assert given[-1] == Block.of(b"7").cid
    assert 2 <= len(given) <= 4  # no other shard than those on the way
    assert set(given[:-1]) <= set(shards)


async def test_a_path_through_dag_cbor_gives_the_nodes_on_the_way(gateway: Gateway) -> None:
    end = Block.of(b"end")
    link = b"\xd8\x2a\x58\x25\x00" + bytes(end.cid)
    document = Block.of(b"\xa1\x61a\xa1\x61b" + link, DAG_CBOR)
    await gateway.put(end, document)
    assert await car(gateway, f"/ipfs/{document.cid}/a/b?format=car") == [document.cid, end.cid]
    for scope in ("block", "entity"):
        for field in ("", "/a"):
            given = await car(gateway, f"/ipfs/{document.cid}{field}?format=car&dag-scope={scope}&car-dups=y")
            assert given == [document.cid]
    assert await car(gateway, f"/ipfs/{document.cid}/a?format=car") == [document.cid, end.cid]
    assert (await gateway.get(f"/ipfs/{document.cid}/a/none?format=car")).status == 404


@pytest.mark.parametrize(
    ("span", "wanted"),
    [("0:*", (0, 1, 2, 3)), ("0:0", (0,)), ("99:100", (0, 1)), ("100:199", (1,)), ("-1:*", (0,)),
     ("-101:-101", (3,)), ("150:-101", (1, 2, 3)), ("-1000000:99", (0,)), ("350:1000000", (3, 0)),
     ("-1000:-401", (0,)), ("500:*", ()), ("1000:2000", ()), ("-10:5", ())],
)  # fmt: skip
async def test_bytes_of_an_entity_bring_only_their_blocks(
    gateway: Gateway, tree: Tree, span: str, wanted: tuple[int, ...]
) -> None:
    root, inner, file, parts, _ = tree
    kept = {parts[number].cid for number in wanted}
    await gateway.forget(*(part.cid for part in parts if part.cid not in kept))  # they must not be needed
    given = await car(gateway, f"/ipfs/{root.cid}/d/file?format=car&entity-bytes={span}")
    assert given == [root.cid, inner.cid, file.cid, *(parts[number].cid for number in wanted)]


async def test_bytes_say_nothing_of_a_directory(gateway: Gateway, tree: Tree) -> None:
    root, inner, *_ = tree
    given = await car(gateway, f"/ipfs/{root.cid}/d?format=car&dag-scope=entity&entity-bytes=0:5")
    assert given == [root.cid, inner.cid]


async def test_bytes_of_a_deep_file_go_down_only_where_they_lie(gateway: Gateway) -> None:
    data = bytes(range(256)) * 4096  # 1 MiB in 1024 leaves, alike in fours
    root = await gateway.add({"f": data}, ImportFlags(max_file_links=8))
    given = await car(gateway, f"/ipfs/{root}?format=car&entity-bytes=500000:500000&car-dups=y")
    assert given[0] == root
    assert given[-1] == Block.of(data[:1024]).cid
    assert len(given) == 5


async def test_identity_blocks_are_never_given_and_can_be_roots(gateway: Gateway) -> None:
    inline = CID.identity(RAW, b"carried in the CID")
    root = directory({"inline": inline})
    await gateway.put(root)
    assert await car(gateway, f"/ipfs/{root.cid}?format=car") == [root.cid]
    assert await car(gateway, f"/ipfs/{root.cid}/inline?format=car") == [root.cid]
    answer = await gateway.get("/ipfs/bafkqaaa?format=car")
    roots, given = await car_of(answer.body)
    assert (answer.status, list(map(str, roots)), given) == (200, ["bafkqaaa"], [])
    assert (await gateway.head("/ipfs/bafkqaaa?format=car")).status == 200


@pytest.mark.parametrize(
    "query",
    ["dag-scope=most", "car-version=2", "car-order=bfs", "car-dups=maybe", "entity-bytes=1",
     "entity-bytes=a:b", "entity-bytes=*:5", "entity-bytes=5:4", "entity-bytes=-4:-5", "entity-bytes=1:2:3"],
)  # fmt: skip
async def test_parameters_that_nobody_knows_are_refused(gateway: Gateway, tree: Tree, query: str) -> None:
    answer = await gateway.get(f"/ipfs/{tree[0].cid}?format=car&{query}")
    assert answer.status == 400
    assert query.split("=")[1] in answer.text


@pytest.mark.parametrize("parameters", ["version=2", "order=bfs", "dups=2", "dups", "=y", 'dups="y'])
async def test_parameters_of_accept_are_checked_too(gateway: Gateway, tree: Tree, parameters: str) -> None:
    assert (await gateway.get(f"/ipfs/{tree[0].cid}", Accept=f"{CAR}; {parameters}")).status == 400


async def test_the_url_wins_over_accept(gateway: Gateway, tree: Tree) -> None:
    path = f"/ipfs/{tree[0].cid}?format=car&car-dups=n&car-order=dfs"
    answer = await gateway.get(path, Accept=f"{CAR}; order=unk; dups=y")
    assert answer.headers["Content-Type"].endswith("order=dfs; dups=n")
    assert "Content-Location" not in answer.headers
    other = await gateway.get(
        f"/ipfs/{tree[0].cid}?format=car&car-dups=y", Accept=f"{CAR}; dups=n; order=unk"
    )
    assert other.headers["Content-Type"] == f"{CAR}; version=1; order=dfs; dups=y"  # any order will do
    added = await gateway.get(f"/ipfs/{tree[0].cid}?format=car", Accept=f"{CAR}; version=1; dups=y")
    assert added.headers["Content-Type"].endswith("dups=y")
    raw = await gateway.get(f"/ipfs/{tree[0].cid}?format=raw", Accept=CAR)
    assert raw.headers["Content-Type"] == "application/vnd.ipld.raw"
    packed = await gateway.get(f"/ipfs/{tree[0].cid}?format=car", Accept="application/vnd.ipld.raw")
    assert packed.headers["Content-Type"].startswith(CAR)


async def test_what_accept_chose_has_an_address_of_its_own(gateway: Gateway, tree: Tree) -> None:
    answer = await gateway.get(f"/ipfs/{tree[0].cid}?dag-scope=block", Accept=f"{CAR}; dups=y; q=0.5")
    assert answer.headers["Content-Location"] == (
        f"/ipfs/{tree[0].cid}?dag-scope=block&car-dups=y&format=car"
    )
    assert answer.headers["Vary"] == "Accept"  # for caches that know nothing of Content-Location
    assert "Vary" not in (await gateway.get(f"/ipfs/{tree[0].cid}?format=car", Accept=CAR)).headers


@pytest.mark.parametrize(
    ("query", "dups", "told"),
    [
        ("?car-dups=y", "y", "car-dups=y"),
        ("?car-dups=n", "n", "car-dups=n"),
        ("?car-dups=", "n", "car-dups=n"),
    ],
)
async def test_the_address_of_what_accept_chose_gives_the_same(
    gateway: Gateway, tree: Tree, query: str, dups: str, told: str
) -> None:
    """Where the URL has its own word for a parameter of Accept, that counts."""
    answer = await gateway.get(f"/ipfs/{tree[0].cid}{query}", Accept=f"{CAR}; dups=n; version=1")
    assert answer.headers["Content-Type"].endswith(f"dups={dups}")
    assert answer.headers["Content-Location"] == (f"/ipfs/{tree[0].cid}?{told}&car-version=1&format=car")
    same = await gateway.get(answer.headers["Content-Location"])
    assert (same.body, same.headers["Etag"]) == (answer.body, answer.headers["Etag"])


async def test_other_selections_have_other_etags_and_each_is_revalidated(
    gateway: Gateway, tree: Tree
) -> None:
    root = tree[0].cid
    paths = [f"/ipfs/{root}{rest}" for rest in (
        "?format=car", "?format=car&car-dups=y", "?format=car&dag-scope=entity", "/d?format=car",
        "?format=car&entity-bytes=0:1", "?format=car&entity-bytes=0:2")]  # fmt: skip
    etags = [(await gateway.head(path)).headers["Etag"] for path in paths]
    assert len(set(etags)) == len(paths)
    for path, etag in zip(paths, etags, strict=True):
        answer = await gateway.get(path, If_None_Match=etag.removeprefix("W/"))
        assert (answer.status, answer.body, answer.headers["Etag"]) == (304, b"", etag)
        assert answer.headers["Cache-Control"] == IMMUTABLE


async def test_a_missing_root_or_name_is_told_before_anything_is_sent(gateway: Gateway, tree: Tree) -> None:
    root = tree[0]
    gone = Block.of(b"never stored").cid
    for method in ("GET", "HEAD"):
        assert (await gateway.get(f"/ipfs/{gone}?format=car", method)).status == 404
        assert (await gateway.get(f"/ipfs/{root.cid}/none?format=car", method)).status == 404


async def cut_off(gateway: Gateway, request: str) -> tuple[str, bytes]:
    """Head and body of an answer that breaks off."""
    answer = await gateway.raw(f"{request}\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode(), body


@pytest.fixture
async def broken(gateway: Gateway) -> Broken:
    """A file without its last block, which is behind the first 64 KiB of a CAR."""
    parts = leaves(8, size=40_000)
    root = file_of(parts)
    await gateway.put(root, *parts[:-1])
    return root, parts


async def test_a_car_that_breaks_off_says_so(gateway: Gateway, broken: Broken) -> None:
    root, parts = broken
    head, body = await cut_off(gateway, f"GET /ipfs/{root.cid}?format=car HTTP/1.1")
    assert head.startswith("HTTP/1.1 200")
    assert "\r\nTrailer: X-Stream-Error" in head
    assert parts[3].data in body
    content, _, trailer = body.rpartition(b"\r\n0\r\n")
    assert content.endswith(BROKEN_OFF)
    assert trailer.decode().startswith(f"X-Stream-Error: block {parts[-1].cid} not found")
    assert trailer.endswith(b"\r\n")
    assert not trailer.endswith(b"\r\n\r\n")  # without its end no client and no cache takes it for whole


async def test_clients_notice_that_a_car_broke_off(gateway: Gateway, broken: Broken) -> None:
    with pytest.raises(ClientPayloadError):
        await gateway.get(f"/ipfs/{broken[0].cid}?format=car")
    again = await gateway.head(f"/ipfs/{broken[0].cid}?format=car")
    assert (again.status, again.headers["Trailer"]) == (200, "X-Stream-Error")


async def test_a_client_of_http_1_0_gets_the_text_and_a_reset(gateway: Gateway, broken: Broken) -> None:
    """For it, as nginx is without further settings, a clean end would be that of a whole archive."""
    listener = gateway.node.faces.gateway
    reader, writer = await asyncio.open_connection(listener.host, listener.port, limit=1 << 20)
    writer.write(f"GET /ipfs/{broken[0].cid}?format=car HTTP/1.0\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.0 200")
    assert (await reader.readuntil(BROKEN_OFF)).endswith(BROKEN_OFF)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_whole_car_ends_as_it_should_and_the_connection_goes_on(gateway: Gateway, tree: Tree) -> None:
    request = f"GET /ipfs/{tree[0].cid}?format=car HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    _, bodies = await cut_off(gateway, f"{request}GET / HTTP/1.1\r\nConnection: close")
    assert b"\r\n0\r\n\r\nHTTP/1.1 200 OK" in bodies
    assert b"X-Stream-Error: " not in bodies


async def test_a_dag_is_followed_a_thousand_levels_down_and_no_further(gateway: Gateway) -> None:
    blocks = chain(1025)
    await gateway.put(*blocks)
    assert len(await car(gateway, f"/ipfs/{blocks[0].cid}?format=car")) == 1025
    deeper = plain_node([blocks[0].cid])
    await gateway.put(deeper)
    assert (await gateway.get(f"/ipfs/{deeper.cid}?format=car")).status == 500
    big = leaves(3, size=40_000)
    await gateway.put(root := plain_node([*(leaf.cid for leaf in big), deeper.cid]), *big)
    _, body = await cut_off(gateway, f"GET /ipfs/{root.cid}?format=car HTTP/1.1")
    assert BROKEN_OFF + b"\r\n0\r\nX-Stream-Error: the DAG below" in body


async def test_a_car_that_takes_too_long_says_so_too(tmp_path: Path) -> None:
    part = leaves(1, size=100_000)[0]
    level, blocks = part, [part]
    for _ in range(30):  # 2^30 times the same part
        level = plain_node([level.cid, level.cid])
        blocks.append(level)
    async with open_gateway(tmp_path, GatewayConfig(max_seconds=0.3)) as gateway:
        await gateway.put(*blocks)
        _, body = await cut_off(gateway, f"GET /ipfs/{level.cid}?format=car&car-dups=y HTTP/1.1")
    assert BROKEN_OFF + b"\r\n0\r\nX-Stream-Error: the whole answer took longer" in body
