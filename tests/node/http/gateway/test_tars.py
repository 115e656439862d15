"""TAR (spec: path gateway; IPIP-288): trees that unpack, and none that unpack elsewhere."""

import io
import tarfile

import pytest
from support.dags import leaves
from support.gateway import Gateway, directory, file_of

from blockstore.block import Block
from blockstore.cid import DAG_CBOR

TAR = "application/x-tar"


def members(body: bytes) -> dict[str, bytes | None]:
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isfile() else None
            found[member.name] = file.read() if file else None
        return found


@pytest.mark.parametrize(("suffix", "headers"), [("?format=tar", {}), ("", {"Accept": TAR})])
async def test_a_tree_is_packed_under_its_cid(gateway: Gateway, suffix: str, headers: dict[str, str]) -> None:
    root = await gateway.add({"d/ą/ę/łź.txt": b"text", "d/big": bytes(5000)})
    answer = await gateway.get(f"/ipfs/{root}{suffix}", **headers)
    assert answer.status == 200
    assert members(answer.body) == {
        f"{root}": None,
        f"{root}/big": bytes(5000),
        f"{root}/ą": None,
        f"{root}/ą/ę": None,
        f"{root}/ą/ę/łź.txt": b"text",
    }
    assert answer.headers["Content-Type"] == TAR
    assert answer.headers["Etag"] == f'W/"{root}.x-tar"'
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{root}.tar"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=29030400, immutable"


async def test_a_file_is_packed_alone_and_a_name_is_only_for_the_download(gateway: Gateway) -> None:
    root = await gateway.add({"d/f": b"text"})
    file = Block.of(b"text").cid
    answer = await gateway.get(f"/ipfs/{root}/f?format=tar&filename=test%D1%82%D0%B5%D1%81%D1%82.tar")
    assert members(answer.body) == {str(file): b"text"}
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"test____.tar\"; filename*=UTF-8''test%D1%82%D0%B5%D1%81%D1%82.tar"
    )
    head = await gateway.head(f"/ipfs/{root}/f?format=tar")
    assert (head.status, head.body, head.headers["Etag"]) == (200, b"", f'W/"{file}.x-tar"')
    known = await gateway.get(f"/ipfs/{root}/f?format=tar", If_None_Match=f'"{file}.x-tar"')
    assert (known.status, known.body) == (304, b"")


@pytest.mark.parametrize(
    "name", ["../outside", "../../etc/passwd", "..", "a/../../../b", "ok/../../../x", ""]
)
async def test_a_name_that_leads_out_of_the_tree_is_an_error(gateway: Gateway, name: str) -> None:
    leaf = Block.of(b"evil")
    inner = directory({name: leaf.cid})
    await gateway.put(leaf, inner)
    answer = await gateway.get(f"/ipfs/{inner.cid}?format=tar")
    assert answer.status == 400
    assert b"evil" not in answer.body


async def test_of_a_tree_that_holds_other_things_than_files_there_is_no_archive(gateway: Gateway) -> None:
    node = Block.of(b"\xa0", DAG_CBOR)
    root = directory({"node": node.cid})
    await gateway.put(node, root)
    for path in (f"/ipfs/{root.cid}", f"/ipfs/{root.cid}/node"):
        answer = await gateway.get(f"{path}?format=tar")
        assert (answer.status, str(node.cid) in answer.text) == (406, True)


async def test_a_name_that_leads_up_within_the_tree_is_fine(gateway: Gateway) -> None:
    leaf = Block.of(b"kind")
    inner = directory({"../file": leaf.cid})
    root = directory({"foobar": inner.cid})
    await gateway.put(leaf, inner, root)
    answer = await gateway.get(f"/ipfs/{root.cid}?format=tar")
    assert answer.status == 200
    assert members(answer.body)[f"{root.cid}/file"] == b"kind"


async def test_a_tree_with_a_gap_is_no_archive(gateway: Gateway) -> None:
    parts = leaves(3, size=100)
    file = file_of(parts)
    await gateway.put(file, parts[0], parts[2])
    assert (await gateway.get(f"/ipfs/{file.cid}?format=tar")).status == 404


async def test_an_archive_that_breaks_off_says_why(gateway: Gateway) -> None:
    parts = leaves(20, size=100_000)
    file = file_of(parts)
    await gateway.put(file, *parts[:-1])
    answer = await gateway.raw(f"GET /ipfs/{file.cid}?format=tar HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    trailer = answer.rpartition(b"\r\n0\r\n")[2].decode()
    assert trailer.startswith(f"X-Stream-Error: block {parts[-1].cid} not found")
