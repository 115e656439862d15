"""JSON and durations byte for byte as Go's clients expect them."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.go import gojson
from node.http.go.durations import parse_duration, parse_time


def test_html_characters_are_escaped_and_the_order_kept() -> None:
    assert (
        gojson.encode({"b": "<a&b>\u2028", "a": None}) == b'{"b":"\\u003ca\\u0026b\\u003e\\u2028","a":null}\n'
    )


def test_names_in_any_script_stay_readable() -> None:
    assert gojson.encode("日本 🚀") == '"日本 🚀"\n'.encode()


def test_bytes_that_were_no_utf8_become_the_replacement_character() -> None:
    assert gojson.encode(b"a\xff".decode(errors="surrogateescape")) == '"a\ufffd"\n'.encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_every_value_reads_back(value: gojson.Json) -> None:
    assert json.loads(gojson.encode(value)) == value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "0001-01-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (1_600_000_000.25, "2020-09-13T12:26:40.25Z"),
        (1_600_000_000.000001, "2020-09-13T12:26:40.000001Z"),
        (-62_135_596_800, "0001-01-01T00:00:00Z"),
        (1e300, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_rfc3339_without_trailing_zeros(seconds: float | None, text: str) -> None:
    assert gojson.time(seconds) == text


def test_whole_times_drop_the_fraction() -> None:
    assert gojson.time(1_600_000_000.99, whole=True) == "2020-09-13T12:26:40Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("1h30m", 5400),
        ("-1.5h", -5400),
        ("0", 0),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("2h45m30.5s", 9930.5),
    ],
)
def test_durations_follow_go(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "1d", "h", "1h ", "--1s", "1h2", ".s", "9" * 100 + "s"])
def test_bad_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.text(max_size=20))
def test_any_text_is_a_duration_and_a_time_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_time):
        with contextlib.suppress(ValueError):
            parse(text)


def test_times_are_read_in_any_zone() -> None:
    assert parse_time("2020-09-13T12:26:40Z") == parse_time("2020-09-13T14:26:40.000+02:00") == 1_600_000_000
    assert parse_time("2020-09-13T12:26:40.123456789Z") == pytest.approx(1_600_000_000.1234567)


@pytest.mark.parametrize(
    "text", ["", "2020-09-13", "2020-13-13T12:26:40Z", "2020-09-13 12:26:40Z", "2020-09-13T12:26:40"]
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.floats(-1e11, 3e11) | st.floats() | st.integers(-(2**40), 2**40), st.booleans())
def test_a_time_is_the_one_that_the_standard_library_makes_of_it(seconds: float, whole: bool) -> None:
    try:
        moment = datetime.fromtimestamp(int(seconds) if whole else seconds, UTC)
    except (OverflowError, ValueError):
        expected = gojson.ZERO_TIME
    else:
        text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
        text = text.removesuffix("+00:00")
        expected = (text.rstrip("0") if moment.microsecond else text) + "Z"
    assert gojson.time(seconds, whole=whole) == expected
