"""IPNS records of keys made from a number."""

from __future__ import annotations

import hashlib

from node.datadir.identity import Identity
from node.names.ipns_record import create
from node.names.name import IpnsName


class Key:
    """Signs records of its own name."""

    def __init__(self, number: int) -> None:
        self.identity = Identity.from_seed(hashlib.sha256(b"ipns %d" % number).digest())
        self.name = IpnsName.parse(self.identity.peer_id)

    def record(self, value: str, expires: float, *, sequence: int = 1, ttl: float = 60.0) -> bytes:
        return create(self.identity, value, sequence=sequence, expires=expires, ttl=ttl)
