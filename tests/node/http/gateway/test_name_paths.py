"""Names in paths, and the paths that are answered before any content is looked for."""

import pytest
from support.gateway import Gateway
from support.ipns import Key
from support.sites import KEY, NAME, STATIC, publish

FILES = {"d/a/b.txt": b"below", "d/c.txt": b"top"}
CID = "bafkqabtimvwgy3yk"


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_NS_MAP", STATIC)


async def test_a_name_is_served_as_long_as_its_record_says(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    await publish(gateway, root, ttl=90.0)
    for name in (KEY.name, NAME):
        answer = await gateway.get(f"/ipns/{name}/a/b.txt")
        assert (answer.status, answer.body) == (200, b"below")
        assert answer.headers["Cache-Control"] in ("public, max-age=90", "public, max-age=89")
        assert answer.headers["Ipfs-Uri"] == f"ipns://{name}/a/b.txt"
        assert answer.headers["X-Ipfs-Roots"].startswith(f"{root},")
        again = await gateway.get(f"/ipns/{name}/a/b.txt", If_None_Match=answer.headers["Etag"])
        assert again.status == 304
        assert again.headers["Cache-Control"].startswith("public, max-age=")
    listing = await gateway.get(f"/ipns/{KEY.name}/a/")
    assert listing.headers["Cache-Control"].endswith(", stale-while-revalidate=2678400")
    assert f'<a href="/ipns/{KEY.name}/a/b.txt">b.txt</a>' in listing.text
    assert (await gateway.get(f"/ipns/{NAME}/a/b.txt?format=raw")).body == b"below"


async def test_what_only_the_operator_says_is_not_cached(gateway: Gateway) -> None:
    answer = await gateway.get("/ipns/direct.example.org")
    assert (answer.status, answer.body) == (200, b"hello\n")
    assert "Cache-Control" not in answer.headers


async def test_a_key_has_one_address(gateway: Gateway) -> None:
    for asked in (KEY.name.peer_id, KEY.name.cid.in_base("b")):
        moved = await gateway.get(f"/ipns/{asked}/a%20b/?x=1")
        assert (moved.status, moved.headers["Location"]) == (302, f"/ipns/{KEY.name}/a%20b/?x=1")


async def test_a_name_that_leads_nowhere_is_the_gateways_failure_and_a_bad_one_the_callers(
    gateway: Gateway,
) -> None:
    assert (await gateway.get(f"/ipns/{Key(99).name}")).status == 500
    assert (await gateway.get("/ipns/nobody.example.net/x")).status == 500
    assert (await gateway.get("/ipns/nonsense")).status == 400
    assert (await gateway.get("/ipns/")).status == 400


@pytest.mark.parametrize(
    ("path", "location"),
    [
        (f"/ipfs/?uri=ipfs%3A%2F%2F{CID}%2Fa%20b%3Fx%3D1", f"/ipfs/{CID}/a%20b?x=1"),
        ("/ipns/?uri=ipns%3A%2F%2Fexample.org", "/ipns/example.org"),
        (f"/ipfs/ipfs/{CID}/x?y=1", f"/ipfs/{CID}/x?y=1"),
        ("/ipfs/ipns/example.org/x", "/ipns/example.org/x"),
        (f"/ipfs/?uri=ipfs%3A%2F{CID}", f"/ipfs/{CID}"),
        (f"/ipfs/?uri=ipfs%3A%2F%2F%2F{CID}%2Fa", f"/ipfs/{CID}/a"),
        (f"/ipfs//{CID}/x?y=1", f"/ipfs/{CID}/x?y=1"),
        ("/ipns///example.org", "/ipns/example.org"),
    ],
)
async def test_other_ways_to_write_a_path_lead_to_it(gateway: Gateway, path: str, location: str) -> None:
    moved = await gateway.get(path)
    assert (moved.status, moved.headers["Location"]) == (301, location)


@pytest.mark.parametrize(
    "path",
    [
        "/ipfs/?uri=https%3A%2F%2Fexample.org",
        "/ipfs/?uri=http%3A%2F%2F%5B",
        "/ipfs/ipfs/nonsense",
        "/ipfs",
        "/ipfs//",
    ],
)
async def test_what_is_no_path_is_told(gateway: Gateway, path: str) -> None:
    assert (await gateway.get(path)).status == 400


async def test_a_service_worker_cannot_take_over_all_content(gateway: Gateway) -> None:
    for path in (f"/ipfs/{CID}", f"/ipns/{NAME}", f"/ipns/{KEY.name}"):
        refused = await gateway.get(path, Service_Worker="script")
        assert (refused.status, "registration is not allowed" in refused.text) == (400, True)
    assert (await gateway.get(f"/ipfs/{CID}/", Service_Worker="script")).status == 200


async def test_errors_are_text_and_pages_only_for_who_asks_for_them(gateway: Gateway) -> None:
    plain = await gateway.get("/ipfs/<b>")
    assert plain.headers["Content-Type"] == "text/plain; charset=utf-8"
    page = await gateway.get("/ipfs/<b>", Accept="text/html")
    assert page.status == 400
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;" in page.text
    assert "<b>" not in page.text


async def test_other_methods_are_refused_and_options_tells_which_are_not(gateway: Gateway) -> None:
    options = await gateway.get(f"/ipfs/{CID}", "OPTIONS", Origin="https://example.org")
    assert options.status == 200
    assert options.headers["Access-Control-Allow-Origin"] == "*"
    for method in ("POST", "PUT", "DELETE"):
        refused = await gateway.get(f"/ipfs/{CID}", method)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
