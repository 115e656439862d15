"""Records of names that other peers gave this node to keep, in memory: verified, bounded, each for a time."""

from __future__ import annotations

from collections import OrderedDict

from blockstore.cid import CID, LIBP2P_KEY
from blockstore.errors import BadCid
from node.names.errors import BadName, BadRecord
from node.names.ipns_record import IpnsRecord, verify
from node.names.name import IpnsName

LIFETIME = 48 * 3600.0
"""Seconds after which a record goes that was not put again; earlier where it ends earlier."""

MOST_BYTES = 8 << 20
"""Of all records; the one that was put longest ago goes."""

_PREFIX = b"/ipns/"


class ValueStore:
    """Pure: records and times (seconds since 1970) in."""

    def __init__(self) -> None:
        self._records: OrderedDict[IpnsName, tuple[IpnsRecord, float]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def put(self, key: bytes, value: bytes, now: float) -> IpnsRecord:
        """The record of that key that is kept now: the newer one. Raises BadRecord."""
        name = _name_of(key)
        record = verify(name, value, now)
        here = self.get(key, now)
        if here is not None and here.order > record.order:
            return here
        self._drop(name)
        self._records[name] = (record, min(record.expires, now + LIFETIME))
        self._bytes += len(record.raw)
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._records)))
        return record

    def get(self, key: bytes, now: float) -> IpnsRecord | None:
        """None where there is none, or it has expired. Raises BadRecord for a key of another kind."""
        name = _name_of(key)
        record, until = self._records.get(name, (None, 0.0))
        if record is not None and until <= now:
            self._drop(name)
            return None
        return record

    def _drop(self, name: IpnsName) -> None:
        if name in self._records:
            self._bytes -= len(self._records.pop(name)[0].raw)


def _name_of(key: bytes) -> IpnsName:
    try:
        if not key.startswith(_PREFIX):
            raise BadRecord("only records of IPNS names are kept here")
        return IpnsName.of(CID.decode(bytes(CID.v1(LIBP2P_KEY, key.removeprefix(_PREFIX)))))
    except (BadName, BadCid) as error:
        raise BadRecord(f"the key of a record is not the name of a key: {error}") from None
