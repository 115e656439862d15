"""Every root on an origin of its own, and domains that are sites (spec: subdomain gateway)."""

import re
from urllib.parse import quote

import pytest
from support.gateway import Gateway
from support.sites import INLINED, KEY, NAME, PEER, STATIC, publish

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB, RAW

FILES = {
    "d/index.txt": b"hello\n",
    "d/ipfs/file.txt": b"inner",
    "d/100% ą+=.txt": b"x",
    "d/site/index.html": b"<p>",
}
LONG = CID.v1(RAW, b"\x13\x40" + bytes(64))


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_NS_MAP", STATIC)


async def test_a_path_of_a_gateway_host_moves_to_the_origin_of_its_root(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    for asked, there in (("", "/"), ("/", "/"), ("/a%252Fb/?x=1&y=%20", "/a%252Fb/?x=1&y=%20")):
        answer = await gateway.get(f"/ipfs/{root}{asked}", Host="localhost:8080")
        assert answer.status == 301
        assert answer.headers["Location"] == f"http://{root}.ipfs.localhost:8080{there}"


async def test_an_old_cid_moves_to_its_form_of_today(gateway: Gateway) -> None:
    root = CID.v0((await gateway.add(FILES)).multihash)
    answer = await gateway.get(f"/ipfs/{root}/x", Host="localhost")
    assert answer.headers["Location"] == f"http://{root.as_v1()}.ipfs.localhost/x"
    upper = str(root.as_v1()).upper()
    for label in (upper, f"b{upper[1:]}"):
        moved = await gateway.get("/x?q", Host=f"{label}.ipfs.localhost")
        assert (moved.status, moved.headers["Location"]) == (301, f"http://{root.as_v1()}.ipfs.localhost/x?q")


async def test_a_reverse_proxy_says_which_host_and_protocol_its_client_used(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    answer = await gateway.get(
        f"/ipfs/{root}",
        Host="inside:1",
        X_Forwarded_Host="localhost, inside",
        X_Forwarded_Proto="https, http",
    )
    assert answer.headers["Location"] == f"https://{root}.ipfs.localhost/"
    assert (await gateway.get(f"/ipfs/{root}/index.txt", Host="unknown.example")).body == b"hello\n"


async def test_a_subdomain_serves_its_dag_and_namespaces_are_directories_of_it(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    host = f"{root}.ipfs.localhost:1234"
    answer = await gateway.get("/index.txt", Host=host)
    assert (answer.status, answer.body) == (200, b"hello\n")
    assert answer.headers["Ipfs-Uri"] == f"ipfs://{root}/index.txt"
    assert (await gateway.get("/ipfs/file.txt", Host=host)).body == b"inner"
    assert (await gateway.get(f"/ipfs/{root}/", Host=host)).status == 404
    assert (await gateway.get("/100%25%20%C4%85+=.txt", Host=host)).body == b"x"
    slash = await gateway.get("/site?a=1", Host=host)
    assert (slash.status, slash.headers["Location"]) == (301, "/site/?a=1")
    listing = await gateway.get("/", Host=host)
    assert f'/ipfs/<a href="//localhost:1234/ipfs/{root}">' in listing.text


@pytest.mark.parametrize("path", ["//evil.example/..", "http://{}//evil.example/..", "/\\evil.example/.."])
async def test_the_way_to_a_directory_never_leads_to_another_host(gateway: Gateway, path: str) -> None:
    host = f"{await gateway.add({'d/a': b'x'})}.ipfs.localhost"
    request = f"GET {path.format(host)} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    head = (await gateway.raw(request.encode())).decode()
    assert head.startswith("HTTP/1.1 301")
    assert re.search("\r\nLocation: /[^/\\\\]", head)


async def test_a_location_never_names_another_host(gateway: Gateway) -> None:
    root = await gateway.add({"d/evil.example/a": b"x"})
    answer = await gateway.get("//evil.example", Host=f"{root}.ipfs.localhost")
    assert (answer.status, answer.headers["Location"]) == (301, "/evil.example/")


async def test_what_fits_no_label_or_is_no_cid_is_told(gateway: Gateway) -> None:
    for path, host in ((f"/ipfs/{LONG}/", "localhost"), ("/", f"{LONG}.ipfs.localhost")):
        answer = await gateway.get(path, Host=host)
        assert answer.status == 400
        assert "CID incompatible with DNS label length limit of 63" in answer.text
    bad = await gateway.get("/ipfs/QmInvalidCID", Host="localhost")
    assert bad.status == 400
    assert 'invalid path "/ipfs/QmInvalidCID"' in bad.text
    assert (await gateway.get("/", Host="nonsense.ipfs.localhost")).status == 400


async def test_keys_move_to_their_canonical_label_and_are_served_there(gateway: Gateway) -> None:
    await publish(gateway, await gateway.add(FILES))
    name = KEY.name
    for asked in (name.peer_id, str(name), name.cid.in_base("b")):
        moved = await gateway.get(f"/ipns/{asked}/x", Host="localhost")
        assert (moved.status, moved.headers["Location"]) == (301, f"http://{name}.ipns.localhost/x")
    pb = CID.v1(DAG_PB, name.multihash).in_base("k")
    assert (
        (await gateway.get("/", Host=f"{pb}.ipns.localhost"))
        .headers["Location"]
        .startswith(f"http://{name}.ipns.localhost/")
    )
    answer = await gateway.get("/index.txt", Host=f"{name}.ipns.localhost")
    assert (answer.status, answer.body) == (200, b"hello\n")
    assert answer.headers["Cache-Control"] in ("public, max-age=600", "public, max-age=599")


async def test_domains_are_inlined_and_both_forms_are_served(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    await publish(gateway, root)
    moved = await gateway.get(f"/ipns/{NAME}/a/", Host="localhost")
    assert (moved.status, moved.headers["Location"]) == (301, f"http://{INLINED}.ipns.localhost/a/")
    for label in (INLINED, NAME):
        answer = await gateway.get("/index.txt", Host=f"{label}.ipns.localhost")
        assert (answer.status, answer.body) == (200, b"hello\n")
        assert answer.headers["Ipfs-Uri"] == f"ipns://{NAME}/index.txt"
    assert (await gateway.get("/ipns/nowhere.example.com", Host="localhost")).status == 500
    assert (await gateway.get("/", Host="no-where.ipns.localhost")).status == 500


async def test_a_domain_with_a_dnslink_is_a_site(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    await publish(gateway, root)
    answer = await gateway.get("/index.txt", Host=f"{NAME.upper()}:8080")
    assert (answer.status, answer.body) == (200, b"hello\n")
    assert answer.headers["X-Ipfs-Roots"] == f"{root},{Block.of(b'hello' + bytes([10])).cid}"
    assert (await gateway.get("/", Host="direct.example.org")).body == b"hello\n"
    listing = (await gateway.get("/", Host=NAME)).text
    assert f'/ipns/<a href="//{NAME}/">{NAME}</a>' in listing
    assert 'href="https://cid.ipfs.tech/#' in listing
    assert '<a href="/site">site</a>' in listing
    assert (await gateway.get(f"/ipfs/{root}/index.txt", Host=NAME)).status == 404


async def test_a_name_may_lead_into_a_dag(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    await publish(gateway, root, "/ipfs")
    answer = await gateway.get("/file.txt", Host=NAME)
    assert (answer.status, answer.body) == (200, b"inner")
    assert "Index of /ipns/" in (await gateway.get("/", Host=NAME)).text
    assert "..</a>" not in (await gateway.get("/", Host=NAME)).text


async def test_a_domain_that_leads_to_a_key_is_served_however_the_key_is_written(gateway: Gateway) -> None:
    await publish(gateway, await gateway.add(FILES))
    for name in (NAME, PEER):
        inlined = name.replace("-", "--").replace(".", "-")
        for host in (name, f"{name}.ipns.localhost", f"{inlined}.ipns.localhost", f"{name}.:80"):
            answer = await gateway.get("/index.txt", Host=host)
            assert (answer.status, answer.body) == (200, b"hello\n"), host
            assert answer.headers["Ipfs-Uri"] == f"ipns://{name}/index.txt"


async def test_uris_of_protocol_handlers_are_paths_of_the_gateway_that_was_asked(gateway: Gateway) -> None:
    for host in ("localhost", "127.0.0.1"):
        for path, uri, location in (
            ("/ipfs/", "ipfs://QmXoypizjW3WknFiJnKLwHCnL72vedxjQkDDP1mXWo6uco/wiki/D_M.html",
             "/ipfs/QmXoypizjW3WknFiJnKLwHCnL72vedxjQkDDP1mXWo6uco/wiki/D_M.html"),
            ("/ipns/", "ipns://en.wikipedia-on-ipfs.org", "/ipns/en.wikipedia-on-ipfs.org"),
            ("/ipns/", "IPNS://en.wikipedia-on-ipfs.org/a%20b", "/ipns/en.wikipedia-on-ipfs.org/a%20b"),
        ):  # fmt: skip
            moved = await gateway.get(f"{path}?uri={quote(uri, safe='')}", Host=host)
            assert (moved.status, moved.headers["Location"]) == (301, location)
        assert (await gateway.get("/ipfs/?uri=javascript%3Aalert(1)", Host=host)).status == 400


async def test_a_gateways_own_host_has_nothing_but_paths_of_content(gateway: Gateway) -> None:
    for path, status in (("/", 200), ("/other", 404), ("/api/v0/id", 404), ("/ipfs", 400), ("/ipns", 400)):
        assert (await gateway.get(path, Host="localhost")).status == status
