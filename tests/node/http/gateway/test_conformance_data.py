"""What gateway-conformance asks, on its own data, with the cases that it skips or cannot fail."""

import io
import json
import re
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support.conformance_data import FOLDER, Provisioned, needed, old, provisioned, static_names
from support.gateway import car_of

from blockstore.cid import CID, DAG_PB
from node.names.name import IpnsName

pytestmark = needed

LISTING = "bafybeig6ka5mlwkl4subqhaiatalkcleo4jgnr3hqwvpmsqfca27cijp3i"
CACHE = "bafybeib3ffl2teiqdncv3mkz4r23b5ctrwkzrrhctdbne6iboayxuxk5ui"
RAW_BLOCK = "bafybeie72edlprgtlwwctzljf6gkn2wnlrddqjbkxo3jomh4n7omwblxly"
CBOR = "bafyreibs4utpgbn7uqegmd2goqz4bkyflre2ek2iwv743fhvylwi4zeeim"
JSON = "baguqeeram5ujjqrwheyaty3w5gdsmoz6vittchvhk723jjqxk7hakxkd47xq"
JSON_CBOR = "bafybeiafyvqlazbbbtjnn6how5d6h6l6rxbqc4qgpbmteaiskjrffmyy4a"
FILES = "bafybeihchr7vmgjaasntayyatmp5sv6xza57iy2h4xj7g46bpjij6yhrmy"
PERCENT = "bafybeig675grnxcmshiuzdaz2xalm6ef4thxxds6o6ypakpghm5kghpc34"
SYMLINK = "QmWvY6FaqFMS89YAQ9NAPjVP4WZKA1qbHbicc9HeSKQTgt"
REDIRECTS = "QmQyqMY5vUBSbSxyitJqthgwZunCQjDVtNd8ggVCxzuPQ4"
SPA = "bafybeib5lboymwd6p2eo4qb2lkueaine577flvsjjeuevmp2nlio72xv5q"
SUBDOMAINS = "QmYiPNLU7Hc739sqcBH5DgVmk5mKTQVzKSqvJJeNGWTgrE"
GAP = "QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk"
HAMT = "bafybeidbclfqleg2uojchspzd4bob56dqetqjsj27gy2cq3klkkgxtpn4i"
CACHE_KEY = "k51qzi5uqu5dlxdsdu5fpuu7h69wu4ohp32iwm9pdt9nq3y5rpn3ln9j12zfhe"
SUBPATH_KEY = "k51qzi5uqu5djokp3m1keo36hoxtd6u3a1d2rg1camf6al7p3huy63dojlm57c"
GONE = "QmYzfKSE55XCjD1MW128RfciAf2DViABhEiXfgVFMabSjN"
UTF8 = "/%C4%85/%C4%99/file-%C5%BA%C5%82.txt"
IMMUTABLE = "public, max-age=29030400, immutable"
GENERATED = "public, max-age=604800, stale-while-revalidate=2678400"


@pytest.fixture
async def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provisioned]:
    monkeypatch.setenv("IPFS_NS_MAP", static_names())
    async with provisioned(tmp_path) as found:
        yield found


async def test_listings_on_every_kind_of_host(data: Provisioned) -> None:
    file = await data.cid(LISTING, UTF8)
    site, name = "dnslink-dir-listing.example.org", "?filename=file-%25C5%25BA%25C5%2582.txt"
    outside = f'https://cid.ipfs.tech/#{file}" target="_blank" rel="noreferrer noopener"'
    for host, here, above, crumb, link in (
        ("127.0.0.1", f"/ipfs/{LISTING}", f"/ipfs/{LISTING}", LISTING, f'/ipfs/{file}{name}"'),
        (f"{LISTING}.ipfs.localhost", "", f"//localhost/ipfs/{LISTING}", LISTING,
         f'//localhost/ipfs/{file}{name}"'),
        (site, "", f"//{site}", site, outside),
    ):  # fmt: skip
        top = await data.gateway.get(f"{here}/", Host=host)
        assert "Index of" in top.text
        assert f'<a href="{here}/">..</a>' not in top.text
        moved = await data.gateway.get(f"{here}/%C4%85/%C4%99", Host=host)
        assert (moved.status, moved.headers["Location"]) == (301, f"{here}/%C4%85/%C4%99/")
        page = await data.gateway.get(f"{here}/%C4%85/%C4%99/", Host=host)
        assert page.headers["Etag"].startswith('"DirIndex-')
        root = f'<a href="{above}/">' if host == site else f'<a href="{above}">'
        for part in (
            f'{root}{crumb}</a>/<a href="{above}/%C4%85">ą</a>/<a href="{above}/%C4%85/%C4%99">ę</a>',
            f'<a href="{here}/%C4%85/%C4%99/..">..</a>',
            f'<a href="{here}{UTF8}">file-źł.txt</a>',
            f'<a class="ipfs-hash" translate="no" href="{link}>',
        ):
            assert part in page.text, (host, part)
        assert (await data.gateway.get(f"{here}/i-do-not-exist", Host=host)).status == 404


async def test_what_caches_are_told(data: Provisioned) -> None:
    roots = [CACHE]
    for segment in ("/root2", "/root3", "/root4", "/index.html"):
        roots.append(await data.cid(roots[-1], segment))
    below = "/root2/root3/root4"
    for base, immutable in ((f"/ipfs/{CACHE}", IMMUTABLE), (f"/ipns/{CACHE_KEY}", "")):
        for path, depth, etag in (
            ("/root2/root3/", 3, rf'"DirIndex-[^"]*_CID-{roots[2]}"'),
            (f"{below}/", 4, f'"{roots[3]}"'),
            (f"{below}/index.html", 5, f'"{roots[4]}"'),
        ):
            answer = await data.gateway.get(base + path)
            assert answer.status == 200
            assert re.fullmatch(etag, answer.headers["Etag"])
            assert answer.headers["X-Ipfs-Path"] == base + path
            assert answer.headers["X-Ipfs-Roots"] == ",".join(roots[:depth])
            cache = answer.headers["Cache-Control"]
            assert cache == (GENERATED if depth == 3 else immutable) or not immutable
            assert cache.startswith("public, max-age=")
            for tags in (
                answer.headers["Etag"],
                f"W/{answer.headers['Etag']}",
                "*",
                f'"a", "b", {answer.headers["Etag"]}',
            ):
                known = await data.gateway.get(base + path, If_None_Match=tags)
                assert (known.status, known.body) == (304, b"")
        raw = await data.gateway.get(f"{base}{below}/?format=raw")
        assert (raw.status, len(raw.body)) == (200, 58)
    for method in ("GET", "HEAD"):
        here = await data.gateway.get(
            f"/ipfs/{CACHE}{below}/?format=raw", method, Cache_Control="only-if-cached"
        )
        gone = await data.gateway.get(f"/ipfs/{GONE}", method, Cache_Control="only-if-cached")
        assert (here.status, gone.status) == (200, 412)


async def test_symlinks_and_names_with_escapes_in_them(data: Provisioned) -> None:
    page = await data.gateway.get(f"/ipfs/{SYMLINK}/")
    assert ">foo<" in page.text
    assert ">bar<" in page.text
    assert (await data.gateway.get(f"/ipfs/{SYMLINK}/bar")).body == b"foo"
    path = "Portugal%252C+Espa%C3%B1a=Peninsula%20Ib%C3%A9rica.txt"
    assert (await data.gateway.get(f"/ipfs/{PERCENT}/{path}")).status == 200
    moved = await data.gateway.get(f"/ipfs/{PERCENT}/{path}", Host="localhost:80")
    assert moved.headers["Location"] == f"http://{PERCENT}.ipfs.localhost:80/{path}"


async def test_ranges_of_files_and_blocks(data: Provisioned) -> None:
    file = f"/ipfs/{FILES}/ascii.txt"
    whole = (await data.gateway.get(file)).body
    assert len(whole) == 31
    for asked, start, stop in (("6-16", 6, 17), ("-3", 28, 31), ("6-16,0-4", 6, 17), ("30-", 30, 31)):
        part = await data.gateway.get(file, Range=f"bytes={asked}")
        assert (part.status, part.body) == (206, whole[start:stop])
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/31"
    for asked in ("997-1000", "2200-2201"):
        part = await data.gateway.get(f"/ipfs/{GAP}", Range=f"bytes={asked}")
        assert (part.status, part.headers["Content-Range"]) == (206, f"bytes {asked}/3072")
    part = await data.gateway.get(
        f"/ipfs/{RAW_BLOCK}/dir", Accept="application/vnd.ipld.raw", Range="bytes=6-16"
    )
    assert (part.status, part.headers["Content-Range"]) == (206, "bytes 6-16/57")


async def test_nodes_and_ranges_of_them(data: Provisioned) -> None:
    """The suite builds twelve cases of ranges of dag-json and dag-cbor, and never runs them."""
    for root, name, place in ((JSON, "json", "inline"), (CBOR, "cbor", "attachment")):
        block = await data.block(root)
        for path, headers, kind in (
            (f"/ipfs/{root}/", {}, f"application/vnd.ipld.dag-{name}"),
            (
                f"/ipfs/{root}/",
                {"Accept": f"application/vnd.ipld.dag-{name}"},
                f"application/vnd.ipld.dag-{name}",
            ),
            (f"/ipfs/{root}/", {"Accept": f"application/{name}"}, f"application/{name}"),
            (f"/ipfs/{root}?format=dag-{name}", {}, f"application/vnd.ipld.dag-{name}"),
            (f"/ipfs/{root}?format={name}", {}, f"application/{name}"),
        ):
            answer = await data.gateway.get(path, **headers)
            assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, block, kind)
            assert f'{place}; filename="{root}.{name}"' in answer.headers["Content-Disposition"]
            for asked, start, stop in (("5-10", 5, 11), ("7-", 7, None), ("-4", -4, None), ("3-4,8-9", 3, 5)):
                part = await data.gateway.get(path, Range=f"bytes={asked}", **headers)
                assert (part.status, part.body, part.headers["Content-Type"]) == (
                    206,
                    block[start:stop],
                    kind,
                )
        other = {"json": "cbor", "cbor": "json"}[name]
        assert (await data.gateway.get(f"/ipfs/{root}?format=dag-{other}")).status == 406
        assert (await data.gateway.get(f"/ipfs/{root}/foo?format=dag-{name}")).status == 501
        assert (await data.gateway.get(f"/ipfs/{root}/foo/i-do-not-exist")).status == 404
        end = await data.gateway.get(f"/ipfs/{root}/foo/link/bar?format=dag-{name}")
        assert (end.status, b"this is not a link" in end.body) == (200, True)
        page = await data.gateway.get(f"/ipfs/{root}/", Accept="text/html")
        assert page.text.rstrip().endswith("</html>")
        assert page.headers["Cache-Control"] == GENERATED
    file = await data.cid(JSON_CBOR, "/%C4%85/%C4%99/t.json")
    raw = "application/vnd.ipld.raw"
    for suffix, headers in (
        ("", {}),
        ("", {"Accept": "application/json"}),
        ("?format=json", {"Accept": raw}),
    ):
        answer = await data.gateway.get(f"/ipfs/{file}{suffix}", **headers)
        assert answer.headers["Content-Type"] == "application/json"
        assert json.loads(answer.body)


async def test_nodes_below_names_are_the_same(data: Provisioned) -> None:
    for key, root, name in (
        ("k51qzi5uqu5dhjghbwdvbo6mi40htrq6e2z4pwgp15pgv3ho1azvidttzh8yy2", JSON, "json"),
        ("k51qzi5uqu5dghjous0agrwavl8vzl64xckoqzwqeqwudfr74kfd11zcyk3b7l", CBOR, "cbor"),
    ):
        for suffix in ("", f"?format=dag-{name}"):
            pair = [await data.gateway.get(f"/{path}{suffix}") for path in (f"ipfs/{root}", f"ipns/{key}")]
            assert pair[0].body == pair[1].body
            assert pair[0].headers["Etag"] == pair[1].headers["Etag"] == f'"{root}.dag-{name}"'
        page = await data.gateway.get(f"/ipns/{key}/", Accept="text/html")
        assert page.headers["Cache-Control"].startswith("public, max-age=")
        assert "immutable" not in page.headers["Cache-Control"]


async def test_records_good_and_bad(data: Provisioned) -> None:
    """That a bad one is a 5xx is among the checks of the suite that cannot fail."""
    names = {
        file.stem.partition("_")[2]: file.stem.partition("_")[0]
        for file in (FOLDER / "ipns_records").iterdir()
    }
    bad = {"v1", "v1-v2-broken-v1-value", "v1-v2-broken-signature-v2"}
    assert data.refused == {names[kind] for kind in bad}
    for kind, name in names.items():
        answer = await data.gateway.get(f"/ipns/{name}")
        record = await data.gateway.get(f"/ipns/{name}?format=ipns-record")
        if kind in bad:
            assert 500 <= answer.status <= 599
            assert 500 <= record.status <= 599
        else:
            assert (answer.status, record.status, record.headers["Cache-Control"]) == (
                200,
                200,
                "public, max-age=1800",
            )
            file = quote("testтест.ipns-record")
            record = await data.gateway.get(f"/ipns/{name}?format=ipns-record&filename={file}")
            assert record.headers["Content-Disposition"] == (
                'attachment; filename="test____.ipns-record"; '
                "filename*=UTF-8''test%D1%82%D0%B5%D1%81%D1%82.ipns-record"
            )
    assert (await data.gateway.get(f"/ipns/{SUBPATH_KEY}/root3/root4/index.html")).body == b"hello\n"
    for asked, canonical in (
        ("12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK",
         "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"),
        ("QmcJM7PRfkSbcM5cf1QugM5R37TLRKyJGgBEhXjLTB8uA2",
         "k2k4r8ol4m8kkcqz509c1rcjwunebj02gcnm5excpx842u736nja8ger"),
    ):  # fmt: skip
        moved = await data.gateway.get(f"/ipns/{asked}/root2/")
        assert (moved.status, moved.headers["Location"]) == (302, f"/ipns/{canonical}/root2/")


async def test_archives(data: Provisioned) -> None:
    """That one which escapes its root is an error is among the checks of the suite that cannot fail."""
    file = await data.cid(LISTING, UTF8)
    for root, member in ((file, file), (LISTING, f"{LISTING}/ą/ę/file-źł.txt")):
        answer = await data.gateway.get(f"/ipfs/{root}?format=tar")
        with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
            packed = archive.extractfile(member)
            assert packed is not None
            assert packed.read() == b"I am a txt file on path with utf8\n"
    roots = {
        name: (await car_of((FOLDER / "path_gateway_tar" / f"{name}.car").read_bytes()))[0][0]
        for name in ("inside-root", "outside-root")
    }
    inside = await data.gateway.get(f"/ipfs/{roots['inside-root']}?format=tar")
    with tarfile.open(fileobj=io.BytesIO(inside.body)) as archive:
        assert f"{roots['inside-root']}/foobar/file" in archive.getnames()
    assert 400 <= (await data.gateway.get(f"/ipfs/{roots['outside-root']}?format=tar")).status <= 599


async def test_cars_of_a_hamt(data: Provisioned) -> None:
    blocks = list(
        (
            await car_of(
                (FOLDER / "trustless_gateway_car/single-layer-hamt-with-multi-block-files.car").read_bytes()
            )
        )[1]
    )
    entity = (await car_of((await data.gateway.get(f"/ipfs/{HAMT}?format=car&dag-scope=entity")).body))[1]
    assert entity[0] == CID.parse(HAMT)
    assert set(entity) < set(blocks)
    same = await data.gateway.get(f"/ipfs/{HAMT}?format=car&dag-scope=entity&entity-bytes=0:*")
    assert (await car_of(same.body))[1] == entity
    for name, many in (("685.txt", True), ("1.txt", False)):
        scope = "" if many else "&dag-scope=block"
        given = (await car_of((await data.gateway.get(f"/ipfs/{HAMT}/{name}?format=car{scope}")).body))[1]
        end = CID.parse(await data.cid(HAMT, f"/{name}"))
        way = given[: given.index(end)]
        assert way[0] == entity[0]
        assert set(way) <= set(entity)
        assert (len(given) > len(way) + 1) == many


async def test_cars_of_a_file_with_a_gap(data: Provisioned) -> None:
    for span, leaf in (
        ("0:1000", "QmPKt7ptM2ZYSGPUc8PmPT2VBkLDK3iqpG9TBJY7PCE9rF"),
        ("2200:*", "QmWXY482zQdwecnfBsj78poUUuPXvyw2JAFAEMw4tzTavV"),
    ):
        answer = await data.gateway.get(f"/ipfs/{GAP}?format=car&dag-scope=entity&entity-bytes={span}")
        assert list(map(str, (await car_of(answer.body))[1])) == [GAP, leaf]


async def test_subdomains(data: Provisioned) -> None:
    names = ("testdirlisting", "hello-CIDv1", "hello-CIDv0", "hello-CIDv0to1", "hello-CIDv1_TOO_LONG")
    cids = {name: await data.cid(SUBDOMAINS, f"/{name}") for name in names}
    hello, folder, long = cids["hello-CIDv1"], old(cids["testdirlisting"]), cids["hello-CIDv1_TOO_LONG"]
    for asked, label in (
        (hello, hello),
        (cids["testdirlisting"], folder),
        (cids["hello-CIDv0"], cids["hello-CIDv0to1"]),
    ):
        for proto in ("http", "https"):
            moved = await data.gateway.get(f"/ipfs/{asked}/", Host="localhost:80", X_Forwarded_Proto=proto)
            assert (moved.status, moved.headers["Location"]) == (301, f"{proto}://{label}.ipfs.localhost:80/")
    inside = f"{folder}.ipfs.localhost"
    assert (await data.gateway.get("/", Host=f"{hello}.ipfs.localhost")).body == b"hello\n"
    assert (await data.gateway.get(f"/ipfs/{hello}/", Host=f"{hello}.ipfs.localhost")).status == 404
    assert b"I am a txt file" in (await data.gateway.get("/ipfs/file.txt", Host=inside)).body
    assert b"text-file-content" in (await data.gateway.get("/ipfs/ipns/bar", Host=inside)).body
    top, deep = (
        (await data.gateway.get("/", Host=inside)).text,
        (await data.gateway.get("/ipfs/ipns/", Host=inside)).text,
    )
    assert '<a href="/hello">hello</a>' in top
    assert '<a href="/ipfs">ipfs</a>' in top
    assert '<a href="/ipfs/ipns/..">..</a>' in deep
    assert '<a href="/ipfs/ipns/bar">bar</a>' in deep
    for path, host in ((f"/ipfs/{long}/", "localhost"), ("/", f"{long}.ipfs.localhost")):
        answer = await data.gateway.get(path, Host=host)
        assert (answer.status, "CID incompatible with DNS label length limit of 63" in answer.text) == (
            400,
            True,
        )
    assert (await data.gateway.get(f"/ipfs/{hello}", Host="fake.domain.com")).status == 200
    moved = await data.gateway.get(f"/ipfs/{hello}", Host="fake.domain.com", X_Forwarded_Host="localhost:80")
    assert moved.headers["Location"] == f"http://{hello}.ipfs.localhost:80/"


async def test_keys_and_domains_on_subdomains(data: Provisioned) -> None:
    for file in sorted((FOLDER / "subdomain_gateway").glob("*.ipns-record")):
        key = IpnsName.parse(file.stem)
        for asked in (file.stem, str(key), key.cid.in_base("b")):
            moved = await data.gateway.get(f"/ipns/{asked}", Host="localhost")
            assert (moved.status, moved.headers["Location"]) == (301, f"http://{key}.ipns.localhost/")
        assert (await data.gateway.get("/", Host=f"{key}.ipns.localhost")).body == b"hello\n"
        other = CID.v1(DAG_PB, key.multihash).in_base("k")
        moved = await data.gateway.get("/", Host=f"{other}.ipns.localhost")
        assert (moved.status, moved.headers["Location"]) == (301, f"http://{key}.ipns.localhost/")
    for proto in ("http", "https"):
        moved = await data.gateway.get(
            "/ipns/en.wikipedia-on-ipfs.example.org/wiki/", Host="localhost", X_Forwarded_Proto=proto
        )
        assert (
            moved.headers["Location"] == f"{proto}://en-wikipedia--on--ipfs-example-org.ipns.localhost/wiki/"
        )
    for name in (
        "dnslink-test.example.org",
        "dnslink-over-ipns.example.org",
        "dnslink-over-ipns-cidv1.example.org",
    ):
        inlined = name.replace("-", "--").replace(".", "-")
        for host in (name, f"{name}.ipns.localhost", f"{inlined}.ipns.localhost"):
            answer = await data.gateway.get("/", Host=host)
            assert (answer.status, answer.body) == (200, b"hello\n")
    answer = await data.gateway.get("/root3/root4/index.html", Host="dnslink-subpath.example.org")
    assert answer.body == b"hello\n"


async def test_site_rules(data: Provisioned) -> None:
    folders = {name: old(await data.cid(REDIRECTS, f"/{name}")) for name in (
        "examples", "forced", "too-large", "newlines", "good-codes", "bad-codes")}  # fmt: skip
    for folder, path, status, location in (
        ("examples", "/redirect-one", 301, "/one.html"), ("examples", "/301-redirect-one", 301, "/one.html"),
        ("examples", "/302-redirect-two", 302, "/two.html"),
        ("examples", "/posts/2022/01/01/hello-world", 301, "/articles/2022/01/01/hello-world"),
        ("examples", "/splat/one.html", 301, "/redirected-splat/one.html"),
        ("newlines", "/redirect-one", 301, "/one.html"), ("good-codes", "/a301", 301, "/b301"),
    ):  # fmt: skip
        moved = await data.gateway.get(path, Host=f"{folders[folder]}.ipfs.localhost")
        assert (moved.status, moved.headers["Location"]) == (status, location)
    host = f"{folders['examples']}.ipfs.localhost"
    for path in ("/200-index", "/catch-all"):
        answer = await data.gateway.get(path, Host=host)
        assert (answer.status, b"my index" in answer.body) == (200, True)
    for path, status in (("/not-found/x", 404), ("/gone/x", 410), ("/unavail/x", 451)):
        answer = await data.gateway.get(path, Host=host)
        page = await data.cid(folders["examples"], f"/{status}.html")
        assert (answer.status, f"my {status}".encode() in answer.body) == (status, True)
        assert (answer.headers["Etag"], answer.headers["Cache-Control"]) == (f'"{page}"', IMMUTABLE)
    for folder, told in (
        ("forced", "could not parse _redirects:"),
        ("too-large", "redirects file size cannot exceed"),
    ):
        answer = await data.gateway.get("/not-found", Host=f"{folders[folder]}.ipfs.localhost")
        assert (answer.status, told in answer.text) == (500, True)
    found = await data.gateway.get("/found.html", Host=f"{folders['bad-codes']}.ipfs.localhost")
    assert (found.status, b"my found" in found.body) == (200, True)
    site = "dnslink-redirects-examples.example.org"
    assert (await data.gateway.get("/redirect-one", Host=site)).headers["Location"] == "/one.html"
    none = await data.gateway.get("/not-found/x", Host=site)
    assert (none.status, none.headers["Etag"]) == (404, '"Qmd9GD7Bauh6N2ZLfNnYS3b7QVAijbud83b8GE8LPMNBBP"')
    assert "immutable" not in none.headers.get("Cache-Control", "")
    assert "Date" in none.headers


async def test_a_rewritten_page_is_revalidated_on_every_kind_of_host(data: Provisioned) -> None:
    name = "dnslink-enabled-with-spa.example.org"
    inlined = name.replace("-", "--").replace(".", "-")
    for host in (f"{SPA}.ipfs.localhost", f"{inlined}.ipns.localhost", name):
        page = await data.gateway.get("/missing-page", Host=host, Accept="text/html")
        assert (page.status, page.body) == (200, await data.block(SPA, "/index.html"))
        again = await data.gateway.get(
            "/missing-page", Host=host, Accept="text/html", If_None_Match=page.headers["Etag"]
        )
        assert again.status == 304
