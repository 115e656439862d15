"""Go's durations and times in text: what query strings of ipfs-cluster and Kubo carry."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GROUP = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MAX_TEXT = 64
_MAX_SECONDS = 2**63 / 1e9  # Go counts nanoseconds in 64 bits: 292 years


def parse_duration(text: str) -> float:
    """Seconds of `1h30m`, `300ms`, `-1.5h`; no days. Raises ValueError."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    position, seconds = 0, 0.0
    while position < len(rest) <= _MAX_TEXT:
        match = _GROUP.match(rest, position)
        if match is None:
            break
        seconds += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    if not rest or position != len(rest) or seconds >= _MAX_SECONDS:
        raise ValueError(f'time: invalid duration "{text[:_MAX_TEXT]}"')
    return sign * seconds


def parse_time(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time, to the end of the year 9999. Raises ValueError."""
    if not _TIME.fullmatch(text) or len(text) > _MAX_TEXT:
        raise ValueError(f'parsing time "{text[:_MAX_TEXT]}": not RFC 3339')
    whole, fraction = text, 0.0
    if match := re.search(r"\.\d+", text):
        whole, fraction = text.replace(match[0], ""), float("0" + match[0])
    try:
        return datetime.fromisoformat(whole).astimezone(UTC).timestamp() + fraction
    except (ValueError, OverflowError):  # a 13th month, an offset of 25 hours, a year before the first
        raise ValueError(f'parsing time "{text}": out of range') from None
