"""`_redirects` of a site: only on its own origin, only for paths that lead nowhere."""

import pytest
from support.gateway import Gateway
from support.sites import INLINED, KEY, NAME, STATIC, publish

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
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_NS_MAP", STATIC)


async def test_rules_are_for_paths_that_lead_nowhere(gateway: Gateway) -> None:
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


async def test_the_page_of_an_error_has_its_status(gateway: Gateway) -> None:
    host = f"{await gateway.add(FILES)}.ipfs.localhost"
    gone = await gateway.get("/gone/x", Host=host)
    assert (gone.status, gone.body) == (410, b"<p>gone</p>")
    assert gone.headers["Content-Type"] == "text/html"
    head = await gateway.head("/gone/x", Host=host)
    assert (head.status, head.headers["Content-Length"]) == (410, "11")


async def test_a_site_under_a_name_has_its_rules_below_where_the_name_leads(gateway: Gateway) -> None:
    root = await gateway.add({f"top/{path}": data for path, data in FILES.items()})
    await publish(gateway, root, "/d")
    assert (await gateway.get("/old", Host=NAME)).headers["Location"] == "/new.html"
    gone = await gateway.get("/gone/x", Host=NAME)
    assert gone.status == 410
    assert "immutable" not in gone.headers["Cache-Control"]


async def test_paths_of_a_shared_origin_and_other_formats_have_no_rules(gateway: Gateway) -> None:
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
async def test_a_file_of_bad_rules_is_told_only_where_it_would_be_used(
    gateway: Gateway, rules: bytes, text: str
) -> None:
    host = f"{await gateway.add({'d/_redirects': rules, 'd/here.txt': b'here'})}.ipfs.localhost"
    answer = await gateway.get("/nowhere", Host=host)
    assert answer.status == 500
    assert text in answer.text
    assert (await gateway.get("/here.txt", Host=host)).body == b"here"


async def test_rules_that_are_no_file_are_bad_ones(gateway: Gateway) -> None:
    host = f"{await gateway.add({'d/_redirects/x': b'x', 'd/here.txt': b'here'})}.ipfs.localhost"
    answer = await gateway.get("/nowhere", Host=host)
    assert (answer.status, "could not parse _redirects:" in answer.text) == (500, True)
    assert (await gateway.get("/here.txt", Host=host)).body == b"here"


EVERY_CASE = b"""# a comment\r
/one /one.html\r
/three /three.html 301\r
\r
/two /two.html 302 # for a while\r
/303 /b 303\r
/307 /b 307\r
/308 /b 308\r
/index /index.html 200\r
/posts/:year/:month/:day/:title /articles/:year/:month/:day/:title\r
/splat/* /redirected/:splat\r
/out https://example.org/x?y=1\r
/not-found/* /404.html 404\r
/gone/* /410.html 410\r
/unavailable/* /451.html 451\r
/dir/* /folder 200\r
/* /index.html 200\r
"""
PAGES = {f"d/{status}.html": b"<p>my %d" % status for status in (404, 410, 451)}
SITE = {"d/_redirects": EVERY_CASE, "d/index.html": b"<p>my index", "d/folder/index.html": b"<p>in", **PAGES}
IMMUTABLE = "public, max-age=29030400, immutable"


@pytest.fixture
async def hosts(gateway: Gateway) -> dict[str, str]:
    """The same site at each kind of host with an origin of its own."""
    root = await gateway.add(SITE)
    await publish(gateway, root)
    return {
        "cid": f"{root}.ipfs.localhost",
        "key": f"{KEY.name}.ipns.localhost",
        "inlined": f"{INLINED}.ipns.localhost",
        "domain": NAME,
    }


async def test_every_kind_of_rule_on_every_kind_of_host(gateway: Gateway, hosts: dict[str, str]) -> None:
    for host in hosts.values():
        for path, status, location in (
            ("/one", 301, "/one.html"), ("/three", 301, "/three.html"), ("/two", 302, "/two.html"),
            ("/303", 303, "/b"), ("/307", 307, "/b"), ("/308", 308, "/b"), ("/one/", 301, "/one.html"),
            ("/posts/2022/01/02/hello%20world", 301, "/articles/2022/01/02/hello%20world"),
            ("/splat/a/b.html", 301, "/redirected/a/b.html"), ("/splat", 301, "/redirected/"),
            ("/out?y=2&z=%2F", 301, "https://example.org/x?y=2&z=%2F"), ("/one?a=b", 301, "/one.html?a=b"),
        ):  # fmt: skip
            moved = await gateway.get(path, Host=host)
            assert (moved.status, moved.headers["Location"]) == (status, location), (host, path)
        for path in ("/index", "/any/where/else", "/any/"):
            answer = await gateway.get(path, Host=host)
            assert (answer.status, answer.body) == (200, b"<p>my index")
            assert answer.headers["Ipfs-Uri"].endswith(path)  # what was asked for, not what was given
        assert (await gateway.get("/dir/x", Host=host)).body == b"<p>in"


async def test_the_pages_of_errors_are_cached_as_what_they_are_a_part_of(
    gateway: Gateway, hosts: dict[str, str]
) -> None:
    for kind, host in hosts.items():
        for path, status in (("/not-found/x", 404), ("/gone/x", 410), ("/unavailable/x", 451)):
            answer = await gateway.get(path, Host=host)
            assert (answer.status, answer.body) == (status, b"<p>my %d" % status)
            assert answer.headers["Etag"] == f'"{Block.of(answer.body).cid}"'
            if kind == "cid":
                assert answer.headers["Cache-Control"] == IMMUTABLE
            else:
                assert answer.headers["Cache-Control"].startswith("public, max-age=")
                assert "immutable" not in answer.headers["Cache-Control"]
            assert "Date" in answer.headers


async def test_what_a_rule_gave_instead_is_revalidated(gateway: Gateway, hosts: dict[str, str]) -> None:
    for host in hosts.values():
        first = await gateway.get("/missing", Host=host, Accept="text/html")
        assert first.headers["Etag"] == f'"{Block.of(b"<p>my index").cid}"'
        for tags in (first.headers["Etag"], f'"x", W/{first.headers["Etag"]}'):
            again = await gateway.get("/missing", Host=host, Accept="text/html", If_None_Match=tags)
            assert (again.status, again.body) == (304, b"")


async def test_a_site_with_a_bad_status_in_its_rules_still_serves_its_files(gateway: Gateway) -> None:
    for status in (b"301!", b"201", b"418", b"999"):
        root = await gateway.add({"d/_redirects": b"/a /b " + status, "d/found.html": b"found"})
        host = f"{root}.ipfs.localhost"
        assert (await gateway.get("/found.html", Host=host)).body == b"found"
        broken = await gateway.get("/none", Host=host)
        assert (broken.status, "unsupported redirect status" in broken.text) == (500, True)
