"""Lines of pins as they are stored, straight from their entries' values: a tenth of the time of Pin and dict.

What they say is what `shapes.pin_as_stored` says, byte for byte; values with rare fields go that way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring

import libipld

from blockstore.cid import DAG_CBOR, DAG_PB, RAW
from cluster.common.names import MAX_NAME
from cluster.common.wire import MAX_LIST
from cluster.errors import BadUpdate
from cluster.pinset.pin_listing import read_row
from node.http.go.gojson import ZERO_TIME, Json, as_text, as_utf8, sorted_map, time
from node.http.rest import shapes

LINES = 256  # in one piece: less than a time slice of the event loop
_PLAIN = frozenset(("s", "size", "name", "min", "max", "alloc", "created"))  # all that most pins say
_COMMON = _PLAIN | {"meta", "expire", "shard"}
_CODECS = (RAW, DAG_PB, DAG_CBOR)
_USUAL = frozenset(bytes([1, codec, 0x12, 32]) for codec in _CODECS)
_IDENTITY = frozenset(bytes([1, codec, 0, size]) for codec in _CODECS for size in range(128))
_YEAR_10000 = 2932897  # days since 1970

Row = tuple[bytes, bytes]
"""CID and entry value."""


def pieces(rows: Sequence[Row], odd: list[BadUpdate]) -> Iterator[bytes]:
    """A line a row, some at a time; the errors of rows that cannot be read are added to `odd`."""
    for start in range(0, len(rows), LINES):
        if text := "".join(line(*row, odd) for row in rows[start : start + LINES]):
            yield as_utf8(text)


def line(cid: bytes, value: bytes, odd: list[BadUpdate]) -> str:
    """One of them; empty for a row that cannot be read."""
    try:
        return _quick(cid, value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        pin = read_row(cid, value)
    if isinstance(pin, BadUpdate):
        odd.append(pin)
        return ""
    return as_text(shapes.pin_as_stored(pin)) + "\n"


def _quick(cid: bytes, value: bytes) -> str:
    """Raises one of those for what is not an ordinary pin, or none."""
    fields = libipld.decode_dag_cbor(value)
    if not _COMMON.issuperset(fields):
        raise ValueError
    get = fields.get
    between = (
        _FOR_EVER if _PLAIN.issuperset(fields) else _between(get("expire"), get("meta"), get("shard", 0))
    )
    name, created = get("name", ""), get("created", 0.0)
    if len(name) > MAX_NAME or type(created) is not float:
        raise ValueError
    head, tail = _factors(get("min", 0), get("max", 0), tuple(get("alloc", ())))
    return f"{head}{encode_basestring(name)}{between}{_text(cid)}{tail}{_second(int(created))}"


@lru_cache(maxsize=1024, typed=True)
def _factors(least: int, most: int, allocations: tuple[str, ...]) -> tuple[str, str]:
    """What stands before the name and behind the CID; pins have few combinations. Raises TypeError."""
    if not all(type(one) is int and -1 <= one <= MAX_LIST for one in (least, most)):
        raise TypeError
    if not all(type(peer) is str for peer in allocations):
        raise TypeError
    return (
        f'{{"replication_factor_min":{least},"replication_factor_max":{most},"name":',
        f'","type":"pin","allocations":{as_text(allocations)},"max_depth":-1,"reference":null,"timestamp":"',
    )


def _between(end: object, metadata: object, shard_size: object = 0) -> str:
    """What stands between the name and the CID. Raises TypeError."""
    if not (end is None or type(end) is float) or not (metadata is None or type(metadata) is dict):
        raise TypeError
    if type(shard_size) is not int:
        raise TypeError
    return (
        f',"mode":"recursive","shard_size":{shard_size},"user_allocations":null'
        f',"expire_at":"{ZERO_TIME if end is None else time(end, whole=True)}","metadata":{_map(metadata)}'
        ',"pin_update":null,"origins":[],"cid":"'
    )


def _map(metadata: Mapping[str, Json] | None) -> str:
    if not metadata:
        return "null"
    if not all(type(text) is str for text in metadata.values()):
        raise TypeError
    return as_text(sorted_map(metadata))


_FOR_EVER = _between(None, None)


def _text(cid: bytes) -> str:
    """Raises ValueError for rare forms, some of which are none."""
    head = cid[:4]
    if (head in _USUAL and len(cid) == 36) or (head in _IDENTITY and len(cid) == 4 + head[3]):
        return str(libipld.encode_multibase("b", cid))
    if cid[:2] == b"\x12\x20" and len(cid) == 34:
        return str(libipld.encode_multibase("z", cid))[1:]
    raise ValueError


def _second(second: int) -> str:
    days, rest = divmod(second, 86400)
    return _day(days) + _CLOCK[rest // 60] + _SECONDS[rest % 60]


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    """Raises ValueError where years have not four digits."""
    if not 0 <= days < _YEAR_10000:
        raise ValueError
    return time(days * 86400.0, whole=True)[:11]


_CLOCK = tuple(f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
_SECONDS = tuple(f'{second:02d}Z"}}\n' for second in range(60))
