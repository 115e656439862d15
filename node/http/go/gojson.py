"""JSON as Go's encoder writes it, which is what ipfs-cluster's and Kubo's clients were built against.

Members keep the order of the dict, HTML-relevant characters are escaped, a line break ends each document.
Maps (not structs) are sorted by key in Go: build them with `sorted_map`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

ZERO_TIME = "0001-01-01T00:00:00Z"
_ESCAPES: dict[int, str] = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})
_NOT_UTF8 = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # how Python keeps bytes that were no UTF-8
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def encode(value: Json) -> bytes:
    """One document and a line break. The escaped characters occur only inside strings, so text is enough."""
    text = _ENCODER.encode(value).translate(_ESCAPES) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.translate(_NOT_UTF8).encode()


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
        moment = datetime.fromtimestamp(int(seconds) if whole else seconds, UTC)
    except (OverflowError, ValueError):
        return ZERO_TIME
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".") if moment.microsecond else ""
    return f"{moment.year:04d}{text[text.index('-') :]}{fraction}Z"


def nanoseconds(seconds: float) -> int:
    """Integer nanoseconds since 1970, as metrics carry them."""
    return int(seconds * 1_000_000) * 1000
