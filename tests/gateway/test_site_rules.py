"""`_redirects` of a site: only on its own origin, only for paths that lead nowhere."""

import pytest
from support.sites import NAME, STATIC, publish

from blockstore.block import Block

RULES = b"""
/old /new.html
/app/* /index.html 200
/gone/* /410.html 410
/:x/lost /nowhere 404
"""
FILES = {
    "d/_redirects": RULES,
    "d/index.html": b"<p>index</p>",
    "d/old-but-here": b"here",
    "d/410.html": b"<p>gone</p>",
    "d/app/real.txt": b"real",
}


@pytest.fixture(autouse=True)
def names(monkeypatch):
    monkeypatch.setenv("IPFS_NS_MAP", STATIC)


async def test_rules_are_for_paths_that_lead_nowhere(gateway):
    host = f"{await gateway.add(FILES)}.ipfs.localhost"
    moved = await gateway.get("/old?x=1", Host=host)
    assert (moved.status, moved.headers["Location"]) == (301, "/new.html?x=1")
    index = await gateway.get("/app/any/where", Host=host)
    assert (index.status, index.body) == (200, b"<p>index</p>")
    assert index.headers["Etag"] == f'"{Block.of(b"<p>index</p>").cid}"'
    assert (await gateway.get("/app/any", Host=host, If_None_Match=index.headers["Etag"])).status == 304
    assert (await gateway.get("/app/real.txt", Host=host)).body == b"real"
    assert (await gateway.get("/x/y/z", Host=host)).status == 404
    assert (await gateway.get("/x/lost", Host=host)).status == 404


async def test_the_page_of_an_error_has_its_status(gateway):
    host = f"{await gateway.add(FILES)}.ipfs.localhost"
    gone = await gateway.get("/gone/x", Host=host)
    assert (gone.status, gone.body) == (410, b"<p>gone</p>")
    assert gone.headers["Content-Type"] == "text/html"
    head = await gateway.head("/gone/x", Host=host)
    assert (head.status, head.headers["Content-Length"]) == (410, "11")


async def test_a_site_under_a_name_has_its_rules_below_where_the_name_leads(gateway):
    root = await gateway.add({f"top/{path}": data for path, data in FILES.items()})
    await publish(gateway, root, "/d")
    assert (await gateway.get("/old", Host=NAME)).headers["Location"] == "/new.html"
    gone = await gateway.get("/gone/x", Host=NAME)
    assert gone.status == 410
    assert "immutable" not in gone.headers["Cache-Control"]


async def test_paths_of_a_shared_origin_and_other_formats_have_no_rules(gateway):
    root = await gateway.add(FILES)
    assert (await gateway.get(f"/ipfs/{root}/old")).status == 404
    assert (await gateway.get("/old?format=raw", Host=f"{root}.ipfs.localhost")).status == 404


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (b"/a /b 301!\n", "could not parse _redirects:"),
        (b"#" * 65537, "redirects file size cannot exceed"),
        (b"/* /../../x 200\n", "could not parse _redirects:"),
    ],
)
async def test_a_file_of_bad_rules_is_told_only_where_it_would_be_used(gateway, rules, text):
    host = f"{await gateway.add({'d/_redirects': rules, 'd/here.txt': b'here'})}.ipfs.localhost"
    answer = await gateway.get("/nowhere", Host=host)
    assert answer.status == 500
    assert text in answer.text
    assert (await gateway.get("/here.txt", Host=host)).body == b"here"
