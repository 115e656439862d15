"""Lines of an ipfs-cluster state export (`api.Pin`, release 1.1), straight from the rows of the pinset.

Beside what ipfs-cluster writes, ends have their fractions of a second, and `user_allocations` are there: its
import takes both, and ours gets the same pin back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.errors import BadUpdate
from cluster.pin import Pin
from cluster.pinset.pin_listing import read_row
from node.http.go import gojson
from node.http.rest import shapes
from node.http.rest.stored_lines import LINES, Row, line

_NANOSECONDS = 9  # digits; a float of this century has seven
_EXACT = b"fexpire", b"bto"  # keys of an entry's value in CBOR, where it has such a field


def state_lines(rows: Sequence[Row], odd: list[BadUpdate]) -> Iterator[bytes]:
    """A line a row, some at a time; the errors of rows that cannot be read are added to `odd`."""
    for start in range(0, len(rows), LINES):
        yield gojson.as_utf8("".join(_line(*row, odd) for row in rows[start : start + LINES]))


def _line(cid: bytes, value: bytes, odd: list[BadUpdate]) -> str:
    if not any(key in value for key in _EXACT):
        return line(cid, value, odd)
    pin = read_row(cid, value)
    if isinstance(pin, Pin):
        return gojson.as_text(_exact(pin)) + "\n"
    odd.append(pin)
    return ""


def _exact(pin: Pin) -> dict[str, gojson.Json]:
    return {
        **shapes.pin_as_stored(pin),
        "user_allocations": list(pin.options.user_allocations) or None,
        "expire_at": exact_time(pin.options.expire_at),
    }


def exact_time(seconds: float | None) -> str:
    """RFC 3339, from which the same number is read again; Go's zero time for None."""
    if seconds is None:
        return gojson.ZERO_TIME
    whole, _, fraction = f"{seconds:.{_NANOSECONDS}f}".rstrip("0").partition(".")
    text = gojson.time(float(whole))
    return f"{text[:-1]}.{fraction}Z" if fraction and text != gojson.ZERO_TIME else text
