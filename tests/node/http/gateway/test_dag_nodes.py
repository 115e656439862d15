"""JSON and CBOR nodes (spec: path gateway): their own bytes, ranges of them, pages; never converted."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import cbrrr
import pytest
from support.gateway import Gateway
from support.sites import KEY, publish

from blockstore.block import Block
from blockstore.cid import CBOR, DAG_CBOR, DAG_JSON, JSON
from node.http.gateway.pages import preview
from node.http.gateway.pages.links import PageLinks

END = Block.of(b'{"end":true}', DAG_JSON)
JSON_NODE = Block.of(
    json.dumps({"a": {"b": {"/": str(END.cid)}}, "list": [1, {"c": None}], "t": "<b>&"}).encode(), DAG_JSON
)
CBOR_NODE = Block.of(
    bytes(cbrrr.encode_dag_cbor({"a": {"b": cbrrr.CID(bytes(END.cid))}, "raw": b"\x00\xff", "n": 1.5})),
    DAG_CBOR,
)
PLAIN_JSON = Block.of(b'{ "spaces":  "kept" }\n', JSON)
PLAIN_CBOR = Block.of(b"\xbf\x61a\x01\xff", CBOR)  # of no fixed length, as dag-cbor is not

NAMES = {
    JSON_NODE: ("dag-json", "json", "inline"),
    CBOR_NODE: ("dag-cbor", "cbor", "attachment"),
    PLAIN_JSON: ("json", "json", "inline"),
    PLAIN_CBOR: ("cbor", "cbor", "attachment"),
}
TYPES = {
    "dag-json": "application/vnd.ipld.dag-json",
    "dag-cbor": "application/vnd.ipld.dag-cbor",
    "json": "application/json",
    "cbor": "application/cbor",
}
nodes = pytest.mark.parametrize(
    "node", NAMES, ids=lambda node: "-".join(NAMES[node][:1]) + str(node.cid.codec)
)
dags = pytest.mark.parametrize("node", [JSON_NODE, CBOR_NODE], ids=["dag-json", "dag-cbor"])


@pytest.fixture(autouse=True)
async def stored(gateway: Gateway) -> None:
    await gateway.put(END, *NAMES)


def requests(node: Block) -> Iterator[tuple[str, dict[str, str], str]]:
    """Every way to ask for it, with the format that is then given."""
    own, plain, _ = NAMES[node]
    path = f"/ipfs/{node.cid}"
    yield path, {}, own
    for name in {own, plain}:
        yield f"{path}?format={name}", {}, name
        yield path, {"Accept": TYPES[name]}, name
    yield f"{path}?format={own}", {"Accept": "application/vnd.ipld.raw"}, own  # IPIP-523
    yield f"{path}?format=unheard-of", {"Accept": TYPES[plain]}, plain


@nodes
async def test_a_node_is_given_as_it_is(gateway: Gateway, node: Block) -> None:
    _, extension, place = NAMES[node]
    for path, headers, name in requests(node):
        for method in ("GET", "HEAD"):
            answer = await gateway.get(path, method, **headers)
            assert (answer.status, answer.body) == (200, node.data if method == "GET" else b"")
            assert answer.headers["Content-Type"] == TYPES[name]
            assert answer.headers["Content-Length"] == str(len(node.data))
            assert answer.headers["Content-Disposition"] == f'{place}; filename="{node.cid}.{extension}"'
            assert answer.headers["Etag"] == f'"{node.cid}.{name}"'
            assert answer.headers["Cache-Control"] == "public, max-age=29030400, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Ipfs-Roots"] == str(node.cid)


@nodes
@pytest.mark.parametrize(
    ("header", "start", "stop"), [("bytes=0-4", 0, 5), ("bytes=3-", 3, None), ("bytes=-2", -2, None)]
)
async def test_ranges_of_a_node(
    gateway: Gateway, node: Block, header: str, start: int, stop: int | None
) -> None:
    for path, headers, name in requests(node):
        answer = await gateway.get(path, Range=header, **headers)
        size = len(node.data)
        first, last, _ = slice(start, stop).indices(size)
        assert (answer.status, answer.body) == (206, node.data[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {first}-{last - 1}/{size}"
        assert answer.headers["Content-Type"] == TYPES[name]


@nodes
async def test_of_several_ranges_the_first_is_given_and_bad_ones_are_refused(
    gateway: Gateway, node: Block
) -> None:
    answer = await gateway.get(f"/ipfs/{node.cid}", Range="bytes=1-2, 3-4")
    assert (answer.status, answer.body) == (206, node.data[1:3])
    assert (await gateway.get(f"/ipfs/{node.cid}", Range="bytes=2-1")).status == 400
    assert (await gateway.get(f"/ipfs/{node.cid}", Range="bytes=9999-")).status == 416


@nodes
async def test_codecs_are_not_converted(gateway: Gateway, node: Block) -> None:
    own, plain, _ = NAMES[node]
    for name in TYPES.keys() - {own, plain}:
        assert (await gateway.get(f"/ipfs/{node.cid}?format={name}")).status == 406
        assert (await gateway.get(f"/ipfs/{node.cid}", Accept=TYPES[name])).status == 406
    assert (await gateway.get(f"/ipfs/{node.cid}?format=tar")).status == 406


async def test_files_are_no_dag_nodes(gateway: Gateway) -> None:
    root = await gateway.add({"d/data.json": b'{"a": 1}', "d/note": b"note"})
    for name in ("dag-json", "dag-cbor"):
        assert (await gateway.get(f"/ipfs/{root}/note?format={name}")).status == 406
        assert (await gateway.get(f"/ipfs/{root}/", Accept=TYPES[name])).status == 406
    for suffix, headers in (("?format=json", {}), ("", {"Accept": "application/json"})):
        answer = await gateway.get(f"/ipfs/{root}/data.json{suffix}", **headers)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'{"a": [1, 2]}', "application/json"), (b'[{"a": "' + b"x" * 600 + b'"}]', "application/json"),
     (b'{"' + b"k" * 2000 + b'": 1}', "text/plain; charset=utf-8"),
     (b"{not json}", "text/plain; charset=utf-8"),
     (b"[see below]", "text/plain; charset=utf-8")],
)  # fmt: skip
async def test_json_without_a_name_is_known_by_its_text(gateway: Gateway, body: bytes, kind: str) -> None:
    root = await gateway.add({"f": body})
    answer = await gateway.get(f"/ipfs/{root}", Accept="*/*")
    assert (answer.body, answer.headers["Content-Type"]) == (body, kind)


@dags
async def test_paths_go_through_fields_to_links_and_end_at_no_field(gateway: Gateway, node: Block) -> None:
    kind = NAMES[node][0]
    answer = await gateway.get(f"/ipfs/{node.cid}/a/b")
    assert (answer.status, answer.body) == (200, END.data)
    assert answer.headers["X-Ipfs-Roots"].split(",")[-1] == str(END.cid)
    assert (await gateway.get(f"/ipfs/{node.cid}/a?format={kind}")).status == 501
    assert (await gateway.get(f"/ipfs/{node.cid}/a/none")).status == 404
    assert (await gateway.get(f"/ipfs/{node.cid}/a/b/end/deeper")).status == 404


@nodes
async def test_a_name_and_a_download_are_told_in_the_disposition(gateway: Gateway, node: Block) -> None:
    place = NAMES[node][2]
    path = f"/ipfs/{node.cid}?filename={quote('имя.x')}"
    names = "filename=\"___.x\"; filename*=UTF-8''%D0%B8%D0%BC%D1%8F.x"
    assert (await gateway.head(path)).headers["Content-Disposition"] == f"{place}; {names}"
    forced = await gateway.head(f"{path}&download=true")
    assert forced.headers["Content-Disposition"] == f"attachment; {names}"


@dags
async def test_browsers_get_a_page_with_links(gateway: Gateway, node: Block) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = await gateway.get(f"/ipfs/{node.cid}/", Accept=browser)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Etag"].startswith('"DagIndex-')
    assert answer.headers["Etag"].endswith(f'_CID-{node.cid}"')
    assert answer.headers["Cache-Control"] == "public, max-age=604800, stale-while-revalidate=2678400"
    assert "Content-Disposition" not in answer.headers
    assert f'<a href="/ipfs/{END.cid}">{END.cid}</a>' in answer.text
    assert answer.text.rstrip().endswith("</html>")
    again = await gateway.get(f"/ipfs/{node.cid}/", Accept=browser, If_None_Match=answer.headers["Etag"])
    assert (again.status, again.body) == (304, b"")
    download = await gateway.get(f"/ipfs/{node.cid}?download=true", Accept=browser)
    assert download.body == node.data


@dags
async def test_caches_are_told_that_the_page_and_the_node_share_an_address(
    gateway: Gateway, node: Block
) -> None:
    """Else one that kept the page for a browser gives it to a program, or the other way round."""
    path = f"/ipfs/{node.cid}"
    etags = set()
    for accept in ("*/*", "text/html"):
        answer = await gateway.get(path, Accept=accept)
        again = await gateway.get(path, Accept=accept, If_None_Match=answer.headers["Etag"])
        assert (answer.headers["Vary"], again.status, again.headers["Vary"]) == ("Accept", 304, "Accept")
        etags.add(answer.headers["Etag"])
    assert len(etags) == 2
    for query in ("?format=raw", "?format=dag-json" if node is JSON_NODE else "?format=dag-cbor"):
        assert "Vary" not in (await gateway.get(path + query, Accept="text/html")).headers


async def test_what_a_node_says_cannot_become_markup(gateway: Gateway) -> None:
    answer = await gateway.get(f"/ipfs/{JSON_NODE.cid}", Accept="text/html")
    assert "&lt;b&gt;&amp;" in answer.text
    assert "<b>" not in answer.text


@pytest.mark.parametrize(("depth", "shown"), [(100, "[ … ]"), (100_000, "nested deeper than 1024 levels")])
async def test_a_page_of_a_node_nested_without_end_is_short(gateway: Gateway, depth: int, shown: str) -> None:
    nested = Block.of(b"\x81" * depth + b"\x01", DAG_CBOR)
    await gateway.put(nested)
    answer = await gateway.get(f"/ipfs/{nested.cid}", Accept="text/html")
    assert answer.status == 200
    assert shown in answer.text
    assert len(answer.body) < 20_000


def test_a_page_of_many_fields_is_cut_and_says_so() -> None:
    shown = preview.fields(["x" * 100] * 100_000, PageLinks("/", "", "/ipfs/"))
    assert len(shown) < 2 * preview.MAX_SHOWN
    assert shown.endswith("cut here: this is a large node")


async def test_a_node_that_does_not_decode_is_still_given(gateway: Gateway) -> None:
    broken = Block.of(b"\xff not cbor", DAG_CBOR)
    await gateway.put(broken)
    assert (await gateway.get(f"/ipfs/{broken.cid}")).body == broken.data
    assert (await gateway.get(f"/ipfs/{broken.cid}", Accept="text/html")).status == 500
    assert (await gateway.get(f"/ipfs/{broken.cid}/a")).status == 500


async def test_a_codec_that_nobody_knows_is_bytes(gateway: Gateway) -> None:
    strange = Block.of(b"strange", 0x99)
    await gateway.put(strange)
    answer = await gateway.get(f"/ipfs/{strange.cid}")
    assert (answer.body, answer.headers["Content-Type"]) == (b"strange", "application/octet-stream")
    assert (await gateway.get(f"/ipfs/{strange.cid}?format=json")).status == 406


@dags
async def test_below_a_name_a_node_is_the_same_and_is_cached_as_long_as_the_name_says(
    gateway: Gateway, node: Block
) -> None:
    kind = NAMES[node][0]
    await publish(gateway, node.cid)
    answers = []
    for suffix, headers in (("", {}), (f"?format={kind}", {}), ("", {"Accept": TYPES[kind]})):
        fixed = await gateway.get(f"/ipfs/{node.cid}{suffix}", **headers)
        named = await gateway.get(f"/ipns/{KEY.name}{suffix}", **headers)
        assert named.body == fixed.body == node.data
        for name in ("Etag", "Content-Type", "Content-Disposition", "X-Ipfs-Roots"):
            assert named.headers[name] == fixed.headers[name]
        answers.append(named)
    page = await gateway.get(f"/ipns/{KEY.name}/", Accept="text/html")
    assert page.headers["Etag"].startswith('"DagIndex-')
    for answer in (*answers, page):
        assert answer.headers["Cache-Control"].startswith("public, max-age=")
        assert "immutable" not in answer.headers["Cache-Control"]
