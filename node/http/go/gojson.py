"""JSON as Go's encoder writes it, which is what ipfs-cluster's and Kubo's clients were built against.

Members keep the order of the dict, HTML-relevant characters are escaped, a line break ends each document.
Maps (not structs) are sorted by key in Go: build them with `sorted_map`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from urllib.parse import quote

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

ZERO_TIME = "0001-01-01T00:00:00Z"
_ESCAPED = "<>&\u2028\u2029"
_ESCAPES: dict[int, str] = str.maketrans({c: f"\\u{ord(c):04x}" for c in _ESCAPED})
_NOT_UTF8 = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # how Python keeps bytes that were no UTF-8
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def encode(value: Json) -> bytes:
    """One document and a line break. The escaped characters occur only inside strings, so text is enough."""
    return as_utf8(_ENCODER.encode(value) + "\n")


def as_utf8(text: str) -> bytes:
    """JSON documents that are text, with Go's escapes: most have nothing of that, so it is looked for."""
    if any(char in text for char in _ESCAPED):
        text = text.translate(_ESCAPES)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.translate(_NOT_UTF8).encode()


def as_text(value: Json) -> str:
    """A part of a document for `as_utf8`."""
    return _ENCODER.encode(value)


def escaped_name(name: str) -> str:
    """The bytes of a name that is not UTF-8, percent-encoded, as JSON cannot hold it; else empty."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return quote(name, safe="", errors="surrogateescape")
    return ""


def sorted_map(values: Mapping[str, Json]) -> dict[str, Json]:
    """A Go map: members by key."""
    return dict(sorted(values.items()))


def without_empty(values: Mapping[str, Json]) -> dict[str, Json]:
    """Members that Go would leave out under `omitempty` are left out."""
    return {key: value for key, value in values.items() if value not in ("", 0, None, False, [], {}, ())}


def time(seconds: float | None, *, whole: bool = False) -> str:
    """RFC 3339 in UTC with as many digits as needed; Go's zero time for None. `whole` cuts to seconds."""
    if seconds is None:
        return ZERO_TIME
    try:
        second = int(seconds) if whole else floor(seconds)
        micros = 0 if whole else round((seconds - second) * 1_000_000)
        if micros == 1_000_000:
            second, micros = second + 1, 0
        text = _second(second)
    except (OverflowError, ValueError):
        return ZERO_TIME
    return f"{text}.{f'{micros:06d}'.rstrip('0')}Z" if micros else f"{text}Z"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    """Pins that were made together share it. Raises OverflowError, ValueError for years above 9999."""
    moment = datetime.fromtimestamp(second, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment.year:04d}{text[text.index('-') :]}"


def rounded(number: float) -> float | int:
    """To a thousandth, and without a fraction where there is none, as Go prints floats."""
    found = round(number, 3)
    return int(found) if found.is_integer() else found


def nanoseconds(seconds: float) -> int:
    """Integer nanoseconds since 1970, as metrics carry them."""
    return int(seconds * 1_000_000) * 1000
