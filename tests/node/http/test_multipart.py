"""The multipart parser: any cut of the bytes gives the same parts, and garbage gives BadMultipart."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.multipart import (
    MAX_HEADER_BYTES,
    PART_END,
    BadMultipart,
    MultipartParser,
    PartStart,
    boundary_of,
    parameters,
)

BOUNDARY = b"xYzZy"


def parse(pieces, boundary=BOUNDARY):
    """Parts as (headers, body) pairs."""
    parser, parts, body = MultipartParser(boundary), [], []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, PartStart):
                headers, body = event.headers, []
            elif event is PART_END:
                parts.append((headers, b"".join(body)))
            else:
                body.append(event)
    parser.finish()
    return parts


def encode(bodies, boundary=BOUNDARY):
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
def test_any_cut_of_the_bytes_gives_the_same_parts(bodies, cuts):
    whole = encode(bodies)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert [body for _, body in parse(pieces)] == bodies


@given(st.lists(tricky, max_size=3))
def test_one_byte_at_a_time_gives_the_same_parts(bodies):
    whole = encode(bodies)
    assert parse([whole[i : i + 1] for i in range(len(whole))]) == parse([whole])


@given(st.lists(st.one_of(tricky, st.binary(max_size=50), st.just(b"\r\n--xYzZy\r\n"))))
def test_any_bytes_parse_or_raise_bad_multipart(pieces):
    try:
        parse(pieces)
    except BadMultipart:
        return


def test_a_body_that_ends_early_is_refused():
    whole = encode([b"one", b"two"])
    for end in range(len(whole) - 4):
        with pytest.raises(BadMultipart):
            parse([whole[:end]])


def test_preamble_and_epilogue_and_padding_are_ignored():
    whole = b"preamble\r\n--xYzZy \t\r\nA: b\r\n\r\nbody\r\n--xYzZy--\r\nepilogue --xYzZy"
    assert parse([whole]) == [({"a": "b"}, b"body")]


def test_headers_are_bounded():
    with pytest.raises(BadMultipart, match="above"):
        parse([b"--xYzZy\r\nA: " + b"b" * MAX_HEADER_BYTES])


def test_bytes_behind_a_boundary_are_refused():
    with pytest.raises(BadMultipart):
        parse([b"--xYzZyoops\r\nA: b\r\n\r\n\r\n--xYzZy--"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('multipart/form-data; boundary="a b"', b"a b"),
        ("Multipart/Form-Data; charset=utf-8; boundary=abc", b"abc"),
    ],
)
def test_the_boundary_is_read_from_the_content_type(text, expected):
    assert boundary_of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 71]
)
def test_a_content_type_without_boundary_is_refused(text):
    with pytest.raises(BadMultipart):
        boundary_of(text)


def test_quoted_parameters_keep_separators_and_escapes():
    assert parameters('name="a;b=c"; filename="q\\"uo\\\\te"; x=1') == {
        "name": "a;b=c",
        "filename": 'q"uo\\te',
        "x": "1",
    }
