"""How a client wants names of keys written: `ipns-base`, as in Kubo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.http.errors import BadRequest
from node.names.name import IpnsName

_BASE58_MULTIHASH = "b58mh"
_BASES = {"base36": "k", "k": "k", "base32": "b", "b": "b", "base58btc": "z", "z": "z"}


@dataclass(frozen=True, slots=True)
class NameText:
    """`base` is the code of a multibase, None: the peer id in base58."""

    base: str | None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> NameText:
        """Raises BadRequest."""
        asked = query.get("ipns-base") or "base36"
        if asked != _BASE58_MULTIHASH and asked not in _BASES:
            raise BadRequest(f"parameter ipns-base invalid: {_BASE58_MULTIHASH}, base36, base32 or base58btc")
        return cls(_BASES.get(asked))

    def __call__(self, name: IpnsName) -> str:
        return name.peer_id if self.base is None else name.cid.in_base(self.base)
