"""`_redirects`: rules are read and matched without surprises, whatever is in the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.gateway.paths.redirects import MAX_BYTES, MOVED, PAGES, BadRedirects, match, parse


def answer(rules: str, path: str) -> tuple[str, int] | None:
    found = match(parse(rules.encode()), tuple(filter(None, path.split("/"))))
    return None if found is None else (found.to, found.status)


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("/a /b", "/a", ("/b", 301)),
        ("/a /b", "/a/", ("/b", 301)),
        ("/a /b", "/a/c", None),
        ("/a /b 302 # moved for a while", "/a", ("/b", 302)),
        ("/a https://example.org/x?y=1 308", "/a", ("https://example.org/x?y=1", 308)),
        ("/:year/:slug /posts/:slug/:year", "/2026/hello", ("/posts/hello/2026", 301)),
        ("/:a /x/:a/:unknown", "/1", ("/x/1/:unknown", 301)),
        ("/d/* /e/:splat", "/d/f/g.html", ("/e/f/g.html", 301)),
        ("/d/* /e/:splat", "/d", ("/e/", 301)),
        ("/* /index.html 200", "/any/where", ("/index.html", 200)),
        ("/* /404.html 404", "/", ("/404.html", 404)),
        ("/:a /:a.html", "/50% off?#", ("/50%25%20off%3F%23.html", 301)),
        ("/caf%C3%A9 /x", "/café", ("/x", 301)),
    ],
)
def test_a_rule_leads_where_it_says(rule: str, path: str, expected: tuple[str, int] | None) -> None:
    assert answer(rule, path) == expected


def test_the_first_rule_that_fits_counts_and_empty_lines_and_comments_are_passed_over() -> None:
    rules = "# site\r\n\r\n/a /1\r\n  /b   /2   302\r\n/* /3\r\n/b /4\r\n"
    assert [answer(rules, path) for path in ("/a", "/b", "/c")] == [("/1", 301), ("/2", 302), ("/3", 301)]


@pytest.mark.parametrize(
    "line",
    [
        "/only",
        "/a /b 301 x",
        "/a /b 301!",
        "/a /b 418",
        "/a /b 20",
        "a /b",
        "/a b",
        "/a ftp://example.org/",
        "/a https://example.org/ 200",
        "/a https://example.org/ 404",
        "/:x/:x /y",
        "/*/a /b",
        "/a* /b",
        "/a http://[ 301",
    ],
)
def test_a_line_that_is_no_rule_is_told_with_its_number(line: str) -> None:
    with pytest.raises(BadRedirects, match="could not parse _redirects: line 2"):
        parse(f"/fine /rule\n{line}\n".encode())


def test_a_file_too_large_or_not_text_is_refused() -> None:
    assert parse(b"#" * MAX_BYTES) == ()
    with pytest.raises(BadRedirects, match="redirects file size cannot exceed"):
        parse(b"#" * (MAX_BYTES + 1))
    with pytest.raises(BadRedirects, match="UTF-8"):
        parse(b"/a /\xff")


@pytest.mark.parametrize(
    ("to", "query", "location"),
    [
        ("/b", "", "/b"),
        ("/b", "x=1&x=2", "/b?x=1&x=2"),
        ("/b?x=1", "", "/b?x=1"),
        ("/b?x=1&y=2", "x=3", "/b?y=2&x=3"),
        ("/b#part", "x=1", "/b?x=1#part"),
    ],
)
def test_a_redirect_keeps_the_query_and_what_the_visitor_says_counts(
    to: str, query: str, location: str
) -> None:
    found = match(parse(f"/a {to}".encode()), ("a",))
    assert found is not None
    assert found.location(query) == location


WORDS = st.sampled_from(
    ["/", "a", "*", ":a", ":splat", "%41", "%", "#", "301", "200", "404!", "http://", " ", "\n"]
)


@given(
    st.lists(WORDS, max_size=40).map("".join) | st.text(max_size=200),
    st.lists(st.text(min_size=1), max_size=5),
)
def test_any_text_is_rules_or_is_refused_and_answers_stay_in_the_site_or_are_urls(
    text: str, path: list[str]
) -> None:
    try:
        rules = parse(text.encode(errors="surrogatepass"))
    except BadRedirects:
        return
    found = match(rules, tuple(path))
    if found is not None:
        assert found.status in {200, *MOVED, *PAGES}
        assert found.to.startswith("/") or found.status in MOVED
        assert "\n" not in found.to
        assert "\r" not in found.to


def test_the_largest_file_is_matched_against_the_longest_path() -> None:
    rules = parse(b"/:a/z/:c/d/* /x\n" * (MAX_BYTES // 16))
    assert len(rules) == MAX_BYTES // 16
    assert match(rules, tuple("abcdefgh") * 128) is None
