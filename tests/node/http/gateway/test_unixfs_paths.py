"""Files and directories below paths (spec: path gateway): redirects, roots, caches, and other origins."""

import time
from pathlib import Path

import pytest
from support.gateway import Answer, Gateway, directory
from support.ipns import RecordFields, signed_record
from support.sites import KEY, publish

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR, DAG_PB

FILES = {"d/ą/ę/źł.txt": b"deep", "d/ą/site/index.html": b"<p>", "d/x%2C+y=z é.txt": b"odd"}
IMMUTABLE = "public, max-age=29030400, immutable"
GENERATED = "public, max-age=604800, stale-while-revalidate=2678400"
METHODS = {"GET", "HEAD", "OPTIONS"}
ALLOWED = {"Content-Type", "Range", "User-Agent", "X-Requested-With"}
EXPOSED = {
    "Content-Length",
    "Content-Range",
    "Ipfs-Uri",
    "X-Chunked-Output",
    "X-Ipfs-Roots",
    "X-Stream-Output",
}


@pytest.fixture
async def root(gateway: Gateway) -> Block | CID | Path | str:
    added = await gateway.add(FILES)
    await publish(gateway, added)
    return added


def listed(answer: Answer, name: str) -> set[str]:
    return set(answer.headers[f"Access-Control-{name}"].split(", "))


async def test_pages_of_any_origin_may_read_every_answer(gateway: Gateway, root: CID) -> None:
    for path, status in (
        (f"/ipfs/{root}/", 200), (f"/ipfs/{root}", 301), (f"/ipfs/{root}/none", 404), ("/ipfs/x", 400),
        ("/x", 404), ("/", 200), (f"/ipfs/{root}?format=car", 200), (f"/ipfs/{root}?format=raw", 200),
        (f"/ipns/{KEY.name}/", 200), (f"/ipns/{KEY.name.peer_id}", 302),
        (f"/ipns/{KEY.name}?format=ipns-record", 200), (f"/ipfs/{Block.of(b'gone').cid}", 404),
    ):  # fmt: skip
        for method in METHODS:
            answer = await gateway.get(path, method, Origin="https://app.example")
            assert answer.status == (200 if method == "OPTIONS" else status), path
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert listed(answer, "Allow-Methods") == METHODS
            assert listed(answer, "Allow-Headers") == ALLOWED
            assert listed(answer, "Expose-Headers") == EXPOSED
            assert (set(answer.headers.get("Allow", "").split(", ")) == METHODS) == (method == "OPTIONS")
    known = await gateway.get("/ipfs/bafkqaaa", If_None_Match="*")
    assert (known.status, known.headers["Access-Control-Allow-Origin"]) == (304, "*")


async def test_a_directory_without_its_slash_moves_to_the_same_path_with_it(
    gateway: Gateway, root: CID
) -> None:
    for path, query in (
        ("/%C4%85", ""),
        ("/%C4%85/%C4%99", "?x=%20&y=a+b"),
        ("", "?format=html"),
        ("/%C4%85//.", ""),
    ):
        moved = await gateway.get(f"/ipfs/{root}{path}{query}")
        assert (moved.status, moved.headers["Location"]) == (301, f"/ipfs/{root}{path}/{query}")
    assert (await gateway.get(f"/ipfs/{root}/%C4%85?go-get=1")).status == 200
    assert (await gateway.get(f"/ipfs/{root}/%C4%85/%C4%99/%C5%BA%C5%82.txt")).body == b"deep"


async def test_roots_etags_and_caches_of_each_step_of_a_path(gateway: Gateway, root: CID) -> None:
    step = {}
    for path in ("/%C4%85", "/%C4%85/%C4%99", "/%C4%85/site", "/%C4%85/%C4%99/%C5%BA%C5%82.txt"):
        answer = await gateway.head(f"/ipfs/{root}{path}?format=raw")
        step[path] = answer.headers["X-Ipfs-Roots"].split(",")
        assert step[path][0] == str(root)
        assert len(step[path]) == path.count("/") + 1
    for base in (f"/ipfs/{root}", f"/ipns/{KEY.name}"):
        for path, slash, etag, cache in (
            ("/%C4%85/%C4%99", "/", None, GENERATED),
            ("/%C4%85/site", "/", step["/%C4%85/site"][-1], IMMUTABLE),
            ("/%C4%85/%C4%99/%C5%BA%C5%82.txt", "", Block.of(b"deep").cid, IMMUTABLE),
        ):
            answer = await gateway.get(f"{base}{path}{slash}")
            assert answer.headers["X-Ipfs-Roots"] == ",".join(step[path])
            if etag is None:
                assert answer.headers["Etag"].startswith('"DirIndex-')
                assert answer.headers["Etag"].endswith(f'_CID-{step[path][-1]}"')
            else:
                assert answer.headers["Etag"] == f'"{etag}"'
            if base.startswith("/ipfs"):
                assert answer.headers["Cache-Control"] == cache
            else:
                assert answer.headers["Cache-Control"].startswith("public, max-age=")
                assert "immutable" not in answer.headers["Cache-Control"]


async def test_names_are_decoded_once_and_signs_stay_what_they_are(gateway: Gateway, root: CID) -> None:
    answer = await gateway.get(f"/ipfs/{root}/x%252C+y=z%20%C3%A9.txt")
    assert (answer.status, answer.body) == (200, b"odd")
    moved = await gateway.get(f"/ipfs/{root}/x%252C+y=z%20%C3%A9.txt", Host="localhost")
    assert moved.headers["Location"] == f"http://{root}.ipfs.localhost/x%252C+y=z%20%C3%A9.txt"
    assert (await gateway.get(f"/ipfs/{root}/x,+y=z%20%C3%A9.txt")).status == 404


@pytest.mark.parametrize("inner", [directory({}), Block.of(b"\xa0", DAG_CBOR), Block.of(b"", DAG_PB)])
async def test_an_index_that_is_no_file_is_an_entry_like_others(gateway: Gateway, inner: Block) -> None:
    root = directory({"index.html": inner.cid})
    await gateway.put(inner, root)
    answer = await gateway.get(f"/ipfs/{root.cid}/")
    assert (answer.status, ">index.html</a>" in answer.text) == (200, True)


async def test_the_size_of_an_empty_file_is_told_before_it_is_fetched(gateway: Gateway) -> None:
    """Programs that copy trees ask for sizes first."""
    root = await gateway.add({"d/empty": b""})
    for path in ("/ipfs/bafkqaaa", f"/ipfs/{root}/empty", f"/ipfs/{root}/empty?format=raw"):
        answer = await gateway.head(path)
        assert (answer.status, answer.headers.get("Content-Length")) == (200, "0")


async def test_probes_need_no_content(gateway: Gateway) -> None:
    for method in ("GET", "HEAD"):
        for suffix, kind in (
            ("", ""),
            ("?format=raw", "application/vnd.ipld.raw"),
            ("?format=car", "application/vnd.ipld.car"),
        ):
            answer = await gateway.get(f"/ipfs/bafkqaaa{suffix}", method)
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith(kind)
    assert (await gateway.get("/ipfs/bafkqaaa")).body == b""


async def test_a_name_in_any_form_leads_to_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RSA keys have names of another length than Ed25519 ones."""
    rsa = CID.v1(0x72, b"\x12\x20" + bytes(range(32)))
    forms = [
        rsa.in_base("b"),
        rsa.in_base("z"),
        CID.v1(0x70, rsa.multihash).in_base("k"),
        str(CID.v0(rsa.multihash)),
    ]
    for form in forms:
        moved = await gateway.get(f"/ipns/{form}/a/?x=1")
        assert (moved.status, moved.headers["Location"]) == (302, f"/ipns/{rsa.in_base('k')}/a/?x=1")
        moved = await gateway.get(f"/ipns/{form}/a", Host="localhost")
        assert (moved.status, moved.headers["Location"]) == (
            301,
            f"http://{rsa.in_base('k')}.ipns.localhost/a",
        )


async def test_a_name_may_be_cached_as_long_as_its_record_lasts_and_no_longer(
    gateway: Gateway, root: CID
) -> None:
    for ttl, end, least, most in (
        (600.0, 1e6, 598, 600),
        (1e6, 100.0, 97, 100),
        (-5.0, 1e6, 0, 0),
        (0.0, 1e6, 0, 0),
    ):
        number = time.time_ns()
        fields = RecordFields(f"/ipfs/{root}", time.time() + end, number, ttl, v1=ttl >= 0)
        record = signed_record(KEY.identity, fields)
        await gateway.node.parts.publishing.keep(KEY.name, record)
        for suffix in ("/%C4%85/site/", "/%C4%85/%C4%99/%C5%BA%C5%82.txt", "/?format=car", "?format=raw"):
            answer = await gateway.get(f"/ipns/{KEY.name}{suffix}")
            age = int(answer.headers["Cache-Control"].removeprefix("public, max-age="))
            assert least <= age <= most, (ttl, end, suffix)
        given = await gateway.get(f"/ipns/{KEY.name}?format=ipns-record")
        assert least <= int(given.headers["Cache-Control"].removeprefix("public, max-age=")) <= most
