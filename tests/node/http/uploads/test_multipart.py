"""The multipart parser: any cut of the bytes gives the same parts, and garbage gives BadMultipart."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.errors import BadMultipart
from node.http.uploads.multipart import (
    MAX_HEADER_BYTES,
    MultipartParser,
    PartEnd,
    PartStart,
    boundary_of,
    parameters,
)

BOUNDARY = b"xYzZy"


def parse(pieces: list[bytes], boundary: bytes = BOUNDARY) -> list[tuple[dict[str, str], bytes]]:
    """Parts as (headers, body) pairs."""
    parser = MultipartParser(boundary)
    parts: list[tuple[dict[str, str], bytes]] = []
    headers: dict[str, str] = {}
    body: list[bytes] = []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, PartStart):
                headers, body = event.headers, []
            elif isinstance(event, PartEnd):
                parts.append((headers, b"".join(body)))
            else:
                body.append(event)
    parser.finish()
    return parts


def encode(bodies: list[bytes], boundary: bytes = BOUNDARY) -> bytes:
    written = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="%d"\r\n\r\n%b\r\n'
        % (boundary, i, body)
        for i, body in enumerate(bodies)
    )
    return written + b"--%b--\r\n" % boundary


tricky = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"-", b"\r\n--", b"xYz", b"\r\n--xYzZ", b"a", b"\0" * 90]),
    max_size=12,
).map(b"".join)


@given(st.lists(tricky, max_size=5), st.lists(st.integers(0, 2000), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_parts(bodies: list[bytes], cuts: list[int]) -> None:
    whole = encode(bodies)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert [body for _, body in parse(pieces)] == bodies


@given(st.lists(tricky, max_size=3))
def test_one_byte_at_a_time_gives_the_same_parts(bodies: list[bytes]) -> None:
    whole = encode(bodies)
    assert parse([whole[i : i + 1] for i in range(len(whole))]) == parse([whole])


STRUCTURE = [
    b"--xYzZy\r\n",
    b"\r\n--xYzZy\r\n",
    b"\r\n--xYzZy--",
    b"A: b\r\n",
    b" folded\r\n",
    b'Content-Disposition: form-data; name=\xff; filename="\r\n',
    b"Content-Length: 3\r\n",
    b"\r\n\r\n",
]


@given(st.lists(st.one_of(tricky, st.binary(max_size=50), st.sampled_from(STRUCTURE))))
def test_any_bytes_parse_or_raise_bad_multipart(pieces: list[bytes]) -> None:
    try:
        parse(pieces)
    except BadMultipart:
        return


def test_a_body_that_ends_early_is_refused() -> None:
    whole = encode([b"one", b"two"])
    for end in range(len(whole) - 4):
        with pytest.raises(BadMultipart):
            parse([whole[:end]])


def test_preamble_and_epilogue_are_ignored() -> None:
    whole = b"preamble\r\n--xYzZy\r\nA: b\r\n\r\nbody\r\n--xYzZy--\r\nepilogue --xYzZy"
    assert parse([whole]) == [({"a": "b"}, b"body")]


def test_a_part_needs_no_headers_and_no_disposition_of_form_data() -> None:
    whole = b"--xYzZy\r\n\r\none\r\n--xYzZy\r\nContent-Disposition: file; filename=x\r\n\r\n\r\n--xYzZy--"
    assert parse([whole]) == [({}, b"one"), ({"content-disposition": "file; filename=x"}, b"")]


def test_bytes_of_a_header_that_are_not_utf8_are_kept() -> None:
    whole = b"--xYzZy\r\nA: \xc3\xbc\r\nB: \xff\r\n\r\n\r\n--xYzZy--"
    assert parse([whole]) == [({"a": "ü", "b": "\udcff"}, b"")]


@pytest.mark.parametrize(
    "headers",
    [b"A: " + b"b" * MAX_HEADER_BYTES, b"A: " + b"b" * MAX_HEADER_BYTES + b"\r\n\r\n",
     (b"A: " + b"b" * 1000 + b"\r\n") * 17 + b"\r\n", b"A: b\r\n" * 33 + b"\r\n"],
    ids=["without an end", "one line", "many lines", "many short lines"],
)  # fmt: skip
def test_headers_are_bounded(headers: bytes) -> None:
    with pytest.raises(BadMultipart, match=r"above|exceeded"):
        parse([b"--xYzZy\r\n" + headers])


@pytest.mark.parametrize("behind", [b"oops", b" \t", b"\n"])
def test_bytes_behind_a_boundary_are_refused(behind: bytes) -> None:
    with pytest.raises(BadMultipart):
        parse([b"--xYzZy" + behind + b"\r\nA: b\r\n\r\n\r\n--xYzZy--"])


@pytest.mark.parametrize("length", [b"1", b"3", b"x", b"-1", b"9" * 5000])
def test_a_part_whose_length_is_not_what_it_says_is_refused(length: bytes) -> None:
    with pytest.raises(BadMultipart):
        parse([b"--xYzZy\r\nContent-Length: " + length + b"\r\n\r\nab\r\n--xYzZy--"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('multipart/form-data; boundary="a b"', b"a b"),
        ("Multipart/Form-Data; charset=utf-8; boundary=abc", b"abc"),
    ],
)
def test_the_boundary_is_read_from_the_content_type(text: str, expected: bytes) -> None:
    assert boundary_of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 71]
)
def test_a_content_type_without_boundary_is_refused(text: str) -> None:
    with pytest.raises(BadMultipart):
        boundary_of(text)


def test_quoted_parameters_keep_separators_and_escapes() -> None:
    assert parameters('name="a;b=c"; filename="q\\"uo\\\\te"; x=1') == {
        "name": "a;b=c",
        "filename": 'q"uo\\te',
        "x": "1",
    }
