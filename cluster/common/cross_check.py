"""Small signed values from outside, read a second time: by dag-cbor, the reference in Python.

`wire` reads all messages of a cluster, fast and in C. Of what decides whom to believe (invitations, records
of members) an independent reader has to find the same in the same bytes. It takes a hundred times as long,
and 0.2 s when it is first needed, so it sees nothing large, and of members nothing that is not signed.
"""

from __future__ import annotations

from cluster.common import wire
from cluster.common.wire import Wire
from cluster.errors import BadUpdate

MAX_VALUES = 512
MAX_DEPTH = 4
"""Levels; messages have two. Of an error that is 400 deep dag-cbor writes 700 kB, for more than a second."""


def decode(data: bytes, limit: int) -> Wire:
    """As `wire.decode`, of a message that is small, and that both readers read alike. Raises BadUpdate."""
    value = wire.decode(data, limit)
    if wire.holds_more(data, MAX_VALUES) or _is_deep(value):
        raise BadUpdate(f"a signed message of more than {MAX_VALUES} values, or {MAX_DEPTH} levels")
    check(data, value)
    return value


def check(data: bytes, value: Wire) -> None:
    """Raises BadUpdate unless dag-cbor finds that value in these bytes."""
    import dag_cbor  # 0.2 s and 6 MB with its tables: only a node that joins, or hears of a member, needs it

    try:
        again = dag_cbor.decode(data)
    except Exception as error:  # noqa: BLE001  its own kinds, and IndexError or OverflowError from below it
        raise BadUpdate(f"its second reader finds no dag-cbor in it: {type(error).__name__}") from None
    if again != value:
        raise BadUpdate("two readers of dag-cbor find different values in it")


def _is_deep(value: Wire) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)
        ]
        level = [value for values in inner for value in values]
    return bool(level)
