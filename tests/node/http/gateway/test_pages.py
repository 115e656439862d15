"""Generated pages: names of strangers cannot deceive, entries tell what they are, nothing else may run."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from support.gateway import Gateway, directory

from blockstore.block import Block
from blockstore.cid import DAG_CBOR, DAG_PB
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBNode
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.options import ImportFlags
from node.http.gateway.pages.file_kinds import kinds_here
from node.http.gateway.pages.safe_text import visible

HTML = "text/html,*/*"
OVERRIDE = "photo\u202egnp.exe"


def unixfs(kind: NodeType, data: bytes = b"") -> Block:
    size = len(data) if kind is NodeType.FILE else None
    return Block.of(dag_pb.encode(PBNode((), UnixFSData(kind, data or None, filesize=size).encode())), DAG_PB)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
        (OVERRIDE, "photo[U+202E]gnp.exe"),
        ("a\nb\x00\x7f\x85", "a[U+000A]b[U+0000][U+007F][U+0085]"),
        ("zero\u200bwidth\ufeff", "zero[U+200B]width[U+FEFF]"),
        ("line\u2028paragraph\u2029", "line[U+2028]paragraph[U+2029]"),
        ("\u2066isolated\u2069", "[U+2066]isolated[U+2069]"),
        (b"caf\xe9".decode(errors="surrogateescape"), "caf[0xE9]"),
        ("می‌خواهم", "می‌خواهم"),  # with the joiner it is spelled with
        ("👩‍👩‍👧 日本\u00a0語", "👩‍👩‍👧 日本\u00a0語"),
    ],
)
def test_what_is_invisible_or_turns_text_around_is_spelled_out(name: str, shown: str) -> None:
    assert visible(name) == shown


async def test_names_of_strangers_are_shown_as_they_are_and_lead_to_their_entries(gateway: Gateway) -> None:
    file = Block.of(b"x")
    names = (OVERRIDE, "a\tb\n", b"caf\xe9.txt".decode(errors="surrogateescape"), "<script>alert(1)")
    folder = directory(dict.fromkeys(sorted(names), file.cid))
    await gateway.put(file, folder)
    page = (await gateway.get(f"/ipfs/{folder.cid}/")).text
    assert "\u202e" not in page
    assert "<script>alert" not in page
    links = re.findall(r'<td><a href="([^"]+)">', page)
    assert len(links) == len(names)
    assert [(await gateway.get(link)).body for link in links] == [b"x"] * len(names)


async def test_errors_spell_out_what_the_path_hides(gateway: Gateway) -> None:
    answer = await gateway.get("/ipfs/Qm%E2%80%AEevil%0Aname", Accept=HTML)
    assert answer.status == 400
    assert "\u202e" not in answer.text
    assert "[U+202E]evil" in answer.text


async def test_what_may_be_answered_some_other_time_has_a_link_to_try_again(gateway: Gateway) -> None:
    missing = Block.of(b"nobody has this").cid
    wanted = await gateway.get(f"/ipfs/{missing}", Accept=HTML, Cache_Control="only-if-cached")
    assert (wanted.status, '<a href="">Try again</a>' in wanted.text) == (412, True)
    assert wanted.headers["Cache-Control"] == "no-store"
    wrong = await gateway.get("/ipfs/nonsense", Accept=HTML)
    assert (wrong.status, "Try again" in wrong.text) == (400, False)


async def test_what_is_not_there_is_asked_for_again_and_other_errors_are_not_kept(gateway: Gateway) -> None:
    for path, kept in ((f"/ipfs/{Block.of(b'gone').cid}", "no-cache"), ("/ipfs/nonsense", "no-store")):
        assert (await gateway.get(path)).headers["Cache-Control"] == kept


async def test_entries_that_are_here_tell_what_they_are(gateway: Gateway) -> None:
    folder, link, file = (
        directory({}),
        unixfs(NodeType.SYMLINK, b"over/there"),
        unixfs(NodeType.FILE, b"text"),
    )
    node, missing = Block.of(b"\xa0", DAG_CBOR), unixfs(NodeType.FILE, b"not here")
    root = directory(
        {
            "away": missing.cid,
            "away.png": missing.cid,
            "folder.d": folder.cid,
            "link": link.cid,
            "node": node.cid,
            "text": file.cid,
        }
    )
    await gateway.put(folder, link, file, node, root)
    page = (await gateway.get(f"/ipfs/{root.cid}/")).text
    rows = dict(re.findall(r'<tr(?: class=\w)?><td><a href="[^"]+">([^<]+)</a><td>([^<]*)<td>', page))
    assert rows == {
        "away": "",
        "away.png": "image/png",
        "folder.d": "folder",
        "link": "symlink",
        "node": "dag-cbor",
        "text": "file",
    }


async def test_a_page_that_knows_more_of_its_entries_is_another_page(gateway: Gateway) -> None:
    folder = directory({})
    root = directory({"folder": folder.cid})
    await gateway.put(root)
    before = await gateway.get(f"/ipfs/{root.cid}/")
    assert "<td>folder<td>" not in before.text
    await gateway.put(folder)
    after = await gateway.get(f"/ipfs/{root.cid}/", If_None_Match=before.headers["Etag"])
    assert (after.status, "<td>folder<td>" in after.text) == (200, True)
    again = await gateway.get(f"/ipfs/{root.cid}/", If_None_Match=after.headers["Etag"])
    assert again.status == 304


async def test_a_listing_that_breaks_off_says_so(gateway: Gateway) -> None:
    root = await gateway.add({f"d/{number}": b"x" for number in range(3000)}, ImportFlags(hamt_threshold=1))
    shards = [link.cid for link in dag_pb.decode((await gateway.node.parts.store.get(root)).data).links]
    await gateway.forget(shards[-1])
    page = await gateway.raw(f"GET /ipfs/{root}/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert not page.endswith(b"0\r\n\r\n")  # the end that HTTP asks for
    assert b"The listing breaks off here" in page.rpartition(b"</a>")[2]
    assert b"entries" not in page.partition(b"<tbody>")[2]


async def test_no_more_than_a_mebibyte_of_entries_is_read_to_know_their_kinds() -> None:
    store = MemoryBlockstore()
    large = [unixfs(NodeType.FILE, bytes([number]) * 400_000) for number in range(4)]
    small = directory({})
    await store.put_many([*large, small])
    kinds = await kinds_here(store, [block.cid for block in (*large, small)])
    assert [kinds.get(block.cid) for block in (*large, small)] == ["file", "file", None, None, "directory"]


async def test_blocks_that_are_no_unixfs_have_no_kind() -> None:
    store = MemoryBlockstore()
    broken = [Block.of(data, DAG_PB) for data in (b"\xff\xff", b"", b"\x0a\x02\xff\xff")]
    await store.put_many(broken)
    assert await kinds_here(store, [block.cid for block in broken]) == {}


async def test_sizes_are_for_people_and_exact_on_demand(gateway: Gateway) -> None:
    root = await gateway.add({"d/a": b"x" * 999, "d/b": b"y" * 123_456})
    page = (await gateway.get(f"/ipfs/{root}/")).text
    assert "<td>999 B\n" in page
    assert re.search(r'<td title="12\d,\d{3} bytes">12\d kB\n', page)


@pytest.mark.parametrize("kind", ["listing", "preview", "error"])
async def test_only_the_page_s_own_style_and_script_may_run(gateway: Gateway, kind: str) -> None:
    node, root = Block.of(b"\xa0", DAG_CBOR), await gateway.add({"d/a.txt": b"x"})
    await gateway.put(node)
    path = {"listing": f"/ipfs/{root}/", "preview": f"/ipfs/{node.cid}", "error": "/ipfs/nonsense"}[kind]
    answer = await gateway.get(path, Accept=HTML)
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in str(policy)
    for element in ("style", "script"):
        texts = re.findall(f"<{element}>(.*?)</{element}>", answer.text, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert policy.get(f"{element}-src", "").split() == [f"'sha256-{one}'" for one in hashes]
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", answer.text.partition("<body>")[0])


async def test_a_sharded_directory_tells_its_order_and_at_its_end_how_many_entries_there_are(
    gateway: Gateway,
) -> None:
    root = await gateway.add({f"d/{number}": b"x" for number in range(3000)}, ImportFlags(hamt_threshold=1))
    page = await gateway.get(f"/ipfs/{root}/")
    assert "3,000 entries" in page.text.rpartition("</table>")[2]
    assert "order of hashes" in page.text


async def test_a_name_s_fields_are_spelled_out_in_json_s_own_way(gateway: Gateway) -> None:
    node = Block.of(b"\xa1\x68a\xe2\x80\xaeb\x01\xc2\x85\x01", DAG_CBOR)
    await gateway.put(node)
    page = (await gateway.get(f"/ipfs/{node.cid}", Accept=HTML)).text
    assert "&quot;a\\u202eb\\u0001\\u0085&quot;: 1" in page


async def test_on_an_origin_of_its_own_a_node_s_links_lead_to_the_gateway(gateway: Gateway) -> None:
    end = Block.of(b"end").cid
    node = Block.of(b"\xa1\x61a\xd8\x2a\x58\x25\x00" + bytes(end), DAG_CBOR)
    await gateway.put(node)
    page = (await gateway.get("/", Accept=HTML, Host=f"{node.cid}.ipfs.localhost:80")).text
    assert f'<a href="//localhost:80/ipfs/{end}">{end}</a>' in page
