"""The gateway's own root: a page to open content from, whatever people have of it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from support.gateway import Gateway

from node.http.gateway.landing_page import pasted_path
from node.version import VERSION

CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
KEY = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
OLD = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKU5db"
PEER = "12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK"
SITE = "en.wikipedia-on-ipfs.org"


async def test_browsers_get_a_page_and_others_a_line(gateway: Gateway) -> None:
    text = await gateway.get("/")
    assert (text.status, text.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert "/ipfs/<cid>" in text.text
    page = await gateway.get("/", Accept="text/html,*/*", Host="localhost:8080")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"Pinfold {VERSION}" in page.text
    assert 'name="open"' in page.text
    for answer in (text, page):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert gateway.node.parts.peer not in answer.text


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        (CID, f"/ipfs/{CID}"),
        (f"{OLD}/a", f"/ipfs/{OLD}/a"),
        (f"{CID}/100% sure?#.txt", f"/ipfs/{CID}/100%25%20sure%3F%23.txt"),
        (f"/ipfs/{CID}/a/", f"/ipfs/{CID}/a/"),
        (f"ipfs/{CID}", f"/ipfs/{CID}"),
        (f"ipfs://{CID}/a%20b?format=raw", f"/ipfs/{CID}/a%20b?format=raw"),
        (f"IPFS:{CID}", f"/ipfs/{CID}"),
        (f"/ipns/{SITE}/wiki/", f"/ipns/{SITE}/wiki/"),
        (f"ipns://{SITE}/wiki", f"/ipns/{SITE}/wiki"),
        (SITE, f"/ipns/{SITE}"),
        (KEY, f"/ipns/{KEY}"),
        (PEER, f"/ipns/{PEER}"),
        (f"https://gw.example/ipfs/{CID}/a%20b", f"/ipfs/{CID}/a%20b"),
        (f"https://{CID}.ipfs.gw.example:8080/a#top", f"/ipfs/{CID}/a"),
        (f"http://{KEY}.ipns.localhost:8080/", f"/ipns/{KEY}/"),
        ("https://en-wikipedia--on--ipfs-org.ipns.gw.example/wiki", f"/ipns/{SITE}/wiki"),
        (f"https://{SITE}/wiki/", f"/ipns/{SITE}/wiki/"),
        ("//evil.example/x", "/ipns/evil.example/x"),
        ("nonsense", "/ipfs/nonsense"),
        ("a\r\nSet-Cookie: b", "/ipfs/a%0D%0ASet-Cookie%3A%20b"),
        ("https://", "/ipns//"),
    ],
)
async def test_whatever_people_paste_leads_to_its_path(gateway: Gateway, typed: str, place: str) -> None:
    assert pasted_path(typed) == place
    answer = await gateway.get(f"/?open=%20{quote(typed)}%20")
    assert (answer.status, answer.headers["Location"]) == (302, place)


async def test_what_is_nothing_is_told_where_it_leads(gateway: Gateway) -> None:
    answer = await gateway.get("/ipfs/nonsense", Accept="text/html")
    assert answer.status == 400
    assert "invalid path" in answer.text
    assert (await gateway.get("/ipns//")).status == 400
    assert (await gateway.get("/?open=")).status == 200
