"""Conditional requests (RFC 9110 section 13): what the client has is not sent again, and parts fit."""

from email.utils import formatdate

import pytest
from support.gateway import Gateway
from support.sites import KEY, publish

from blockstore.unixfs.importing.options import ImportFlags

RECORDED = 784111777
THEN = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER, LATER = "Sun, 06 Nov 1994 08:49:36 GMT", "Mon, 07 Nov 1994 00:00:00 GMT"
DATA = bytes(range(256)) * 20  # several blocks
FILES = {"d/f.bin": DATA, "d/site/index.html": b"<p>index</p>", "d/list/a.txt": b"a"}
PATHS = ("/f.bin", "/site/", "/list/", "/list/a.txt")


@pytest.fixture
async def dated(gateway: Gateway) -> str:
    return f"/ipfs/{await gateway.add(FILES, ImportFlags(mtime=RECORDED, mtime_nsecs=5))}"


async def test_recorded_times_are_told_and_honoured(gateway: Gateway, dated: str) -> None:
    for path in PATHS:
        answer = await gateway.get(dated + path)
        assert (answer.status, answer.headers["Last-Modified"]) == (200, THEN), path
        for date in (THEN, LATER, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"):
            for method in ("GET", "HEAD"):
                known = await gateway.get(dated + path, method, If_Modified_Since=date)
                assert (known.status, known.body) == (304, b"")
                for name in ("Etag", "Cache-Control", "Last-Modified", "Ipfs-Uri"):
                    assert known.headers[name] == answer.headers[name]
        assert (await gateway.get(dated + path, If_Modified_Since=EARLIER)).status == 200


async def test_an_etag_decides_where_both_are_given(gateway: Gateway, dated: str) -> None:
    for path in PATHS:
        etag = (await gateway.get(dated + path)).headers["Etag"]
        other = await gateway.get(dated + path, If_None_Match='"other"', If_Modified_Since=LATER)
        assert other.status == 200
        same = await gateway.get(dated + path, If_None_Match=etag, If_Modified_Since=EARLIER)
        assert same.status == 304


async def test_no_time_is_made_up_for_content_without_one(gateway: Gateway) -> None:
    root = await gateway.add(FILES)
    for path in (*(f"/ipfs/{root}{path}" for path in PATHS), "/ipfs/bafkqabtimvwgy3yk"):
        for suffix in ("", "?format=raw", "?format=car", "?format=tar"):
            answer = await gateway.get(path + suffix, If_Modified_Since=formatdate(usegmt=True))
            assert answer.status == 200
            assert "Last-Modified" not in answer.headers


@pytest.mark.parametrize("recorded", [4_102_444_800, 2**62, -(2**62), -1, 0])
async def test_a_time_that_cannot_be_or_stands_for_none_is_not_told(gateway: Gateway, recorded: int) -> None:
    root = await gateway.add(FILES, ImportFlags(mtime=recorded))
    answer = await gateway.get(f"/ipfs/{root}/f.bin", If_Modified_Since=formatdate(usegmt=True))
    assert (answer.status, answer.body) == (200, DATA)
    assert "Last-Modified" not in answer.headers


@pytest.mark.parametrize(
    "date", ["", "yesterday", "0", "6 Nov 1994 99:99:99 GMT", "1 Jan 999999999 00:00:00 GMT", "9" * 8000]
)
async def test_dates_that_are_none_are_passed_over(gateway: Gateway, dated: str, date: str) -> None:
    for name in ("If_Modified_Since", "If_Unmodified_Since"):
        assert (await gateway.get(dated + "/f.bin", **{name: date})).status == 200


async def test_a_range_is_given_only_where_it_continues_what_the_client_has(
    gateway: Gateway, dated: str
) -> None:
    etag = (await gateway.head(dated + "/f.bin")).headers["Etag"]
    for condition in (etag, f" {etag}", THEN):
        part = await gateway.get(dated + "/f.bin", Range="bytes=1000-", If_Range=condition)
        assert (part.status, part.body) == (206, DATA[1000:])
    for condition in (f"W/{etag}", '"other"', "*", EARLIER, LATER, "nonsense", etag.strip('"')):
        for asked in ("bytes=1000-", "bytes=9999-"):
            all_of_it = await gateway.get(dated + "/f.bin", Range=asked, If_Range=condition)
            assert (all_of_it.status, all_of_it.body) == (200, DATA)
            assert "Content-Range" not in all_of_it.headers


async def test_content_in_one_block_is_continued_by_its_etag_too(gateway: Gateway) -> None:
    root = await gateway.add({"f": b"0123456789"})
    for path in (f"/ipfs/{root}", f"/ipfs/{root}?format=raw"):
        etag = (await gateway.head(path)).headers["Etag"]
        part = await gateway.get(path, Range="bytes=5-", If_Range=etag)
        assert (part.status, part.body) == (206, b"56789")
        other = await gateway.get(path, Range="bytes=5-", If_Range='"other"')
        assert (other.status, other.body) == (200, b"0123456789")


async def test_a_whole_file_instead_of_a_range_has_its_type(gateway: Gateway) -> None:
    root = await gateway.add({"f": b"<!doctype html>" + bytes(range(32, 127)) * 40})
    answer = await gateway.get(f"/ipfs/{root}", Range="bytes=2000-", If_Range='"other"')
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")


async def test_who_wants_only_the_content_it_knows_is_told_when_it_is_another(
    gateway: Gateway, dated: str
) -> None:
    for path in PATHS:
        etag = (await gateway.get(dated + path)).headers["Etag"]
        for condition in (etag, f'"other", {etag}', "*"):
            assert (await gateway.get(dated + path, If_Match=condition)).status == 200
        for condition in ('"other"', f"W/{etag}"):
            refused = await gateway.get(dated + path, If_Match=condition, If_None_Match=etag)
            assert (refused.status, refused.headers["Etag"]) == (412, etag)
            assert "immutable" not in refused.headers["Cache-Control"]
        assert (await gateway.get(dated + path, If_Unmodified_Since=THEN)).status == 200
        assert (await gateway.get(dated + path, If_Unmodified_Since=EARLIER)).status == 412
        both = await gateway.get(dated + path, If_Match=etag, If_Unmodified_Since=EARLIER)
        assert both.status == 200


async def test_a_weak_etag_revalidates_and_is_like_no_other_for_if_match(
    gateway: Gateway, dated: str
) -> None:
    for path in ("?format=car", "?format=tar"):
        etag = (await gateway.head(dated + path)).headers["Etag"]
        assert etag.startswith("W/")
        assert (await gateway.get(dated + path, If_None_Match=etag)).status == 304
        assert (await gateway.get(dated + path, If_Match="*")).status == 200
        assert (await gateway.get(dated + path, If_Match=etag)).status == 412


async def test_names_are_revalidated_by_time_as_well(gateway: Gateway, dated: str) -> None:
    await publish(gateway, await gateway.add(FILES, ImportFlags(mtime=RECORDED)))
    answer = await gateway.get(f"/ipns/{KEY.name}/f.bin", If_Modified_Since=THEN)
    assert (answer.status, answer.headers["Last-Modified"]) == (304, THEN)
    assert answer.headers["Cache-Control"].startswith("public, max-age=")


async def test_of_several_ranges_the_first_that_can_be_is_given(gateway: Gateway, dated: str) -> None:
    for asked, start, stop in (
        ("bytes=0-4,8-9", 0, 5),
        ("bytes=99999-,8-9", 8, 10),
        ("bytes=99999-,-3", len(DATA) - 3, len(DATA)),
    ):
        part = await gateway.get(dated + "/f.bin", Range=asked)
        assert (part.status, part.body) == (206, DATA[start:stop])
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(DATA)}"
    assert (await gateway.get(dated + "/f.bin", Range="bytes=99999-,88888-")).status == 416


async def test_of_an_empty_file_all_is_given_whatever_the_range(gateway: Gateway) -> None:
    root = await gateway.add({"d/empty": b"", "d/x": b"x"})
    for path in ("/ipfs/bafkqaaa", "/ipfs/bafkqaaa?format=raw", f"/ipfs/{root}/empty"):
        for asked in ("bytes=0-", "bytes=0-99", "bytes=-5", "bytes=7-"):
            answer = await gateway.get(path, Range=asked)
            assert (answer.status, answer.body) == (200, b"")


async def test_a_later_part_of_one_block_has_the_type_of_the_whole(gateway: Gateway) -> None:
    """Of several blocks the first would have to be fetched for it."""
    root = await gateway.add({"f": b"<!doctype html>" + b"x" * 900}, ImportFlags(mtime=RECORDED))
    many = await gateway.add({"f": b"<!doctype html>" + b"x" * 9000})
    part = await gateway.get(f"/ipfs/{root}", Range="bytes=500-")
    assert (part.status, part.headers["Content-Type"]) == (206, "text/html")
    part = await gateway.get(f"/ipfs/{many}", Range="bytes=5000-")
    assert (part.status, part.headers["Content-Type"]) == (206, "application/octet-stream")
