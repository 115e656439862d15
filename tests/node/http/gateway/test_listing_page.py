"""The page that lists a directory: names and links are escaped, and it is sent while it is read."""

from __future__ import annotations

import pytest
from support.importing import file, root_of
from support.sources import RecordingSource

from blockstore.cid import CID
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.importing.options import ImportOptions
from blockstore.unixfs.listing import lookup
from blockstore.unixfs.reader import stat
from node.http.gateway.hosts.mount import Mount
from node.http.gateway.pages import listing
from node.http.gateway.paths.request import RequestPath, parse_path

HOSTILE = '"><b>100% a#b?c&日$path.txt'
ESCAPED = "%22%3E%3Cb%3E100%25%20a%23b%3Fc%26%E6%97%A5%24path.txt"


async def directory(names: list[str], options: ImportOptions) -> tuple[RecordingSource, CID]:
    store = MemoryBlockstore()
    root = await root_of([file(f"d/{name}", name.encode()) for name in names], options, store)
    return RecordingSource(store), CID.parse(root)


async def page(source: RecordingSource, root: CID, path: RequestPath) -> str:
    info = await stat(source, root)
    return b"".join([piece async for piece in listing.listed(path, info, source, {})]).decode()


def below(root: CID, escaped: str = "/", prefix: str = "", gateway: str = "") -> RequestPath:
    path = parse_path(escaped if prefix else f"/ipfs/{root}{escaped}", Mount(prefix, gateway))
    assert isinstance(path, RequestPath)
    return path


async def test_names_are_escaped_in_text_and_in_links() -> None:
    source, root = await directory([HOSTILE], ImportOptions())
    text = await page(source, root, below(root))
    assert f'<a href="/ipfs/{root}/{ESCAPED}">&quot;&gt;&lt;b&gt;100% a#b?c&amp;日$path.txt</a>' in text
    assert "<b>" not in text
    assert f"?filename={ESCAPED.replace('%', '%25')}" in text


async def test_the_root_has_no_link_to_what_is_above_it_and_a_directory_in_it_has() -> None:
    source, root = await directory(["a/b/c.txt"], ImportOptions())
    assert 'href="' + f"/ipfs/{root}/.." not in await page(source, root, below(root))
    inner = (await lookup(source, (await lookup(source, root, "a")).cid, "b")).cid
    text = await page(source, inner, below(root, "/a/b/"))
    assert f'<a href="/ipfs/{root}/a/b/..">..</a>' in text
    crumbs = ("", root), ("/a", "a"), ("/a/b", "b")
    assert "/ipfs/" + "/".join(f'<a href="/ipfs/{root}{way}">{name}</a>' for way, name in crumbs) in text


async def test_on_a_subdomain_entries_are_of_this_origin_and_other_content_is_at_the_gateway() -> None:
    source, root = await directory(["a.txt"], ImportOptions())
    text = await page(source, root, below(root, "/", f"/ipfs/{root.as_v1()}", "gw.example:8080"))
    assert '<a href="/a.txt">a.txt</a>' in text
    assert f'/ipfs/<a href="//gw.example:8080/ipfs/{root.as_v1()}">' in text
    assert 'href="//gw.example:8080/ipfs/' in text.partition("<tbody>")[2]


async def test_types_come_from_names_and_sizes_from_the_directory_and_no_entry_is_read() -> None:
    source, root = await directory(["a.png", "b"], ImportOptions())
    source.asked.clear()
    text = await page(source, root, below(root))
    assert "<td>image/png<td>" in text
    assert "2 entries" in text
    assert set(source.asked) == {root}


@pytest.mark.parametrize("options", [ImportOptions(hamt_threshold=0), ImportOptions(hamt_threshold=1)])
async def test_the_page_begins_before_the_directory_is_read_to_its_end(options: ImportOptions) -> None:
    names = [f"{number}.txt" for number in range(2000)]
    source, root = await directory(names, options)
    info = await stat(source, root)
    source.asked.clear()
    pieces = listing.listed(below(root), info, source, {})
    first = (await anext(pieces)).decode()
    assert 50 < first.count("<tr") < 200
    assert len(source.asked) < 100  # a HAMT of these has some 250 shards
    rest = b"".join([piece async for piece in pieces]).decode()
    assert (first + rest).count("<tr") == len(names) + 1
