"""Which providers a client wants, by their addresses and their protocols (IPIP-484)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from node.http.errors import BadRequest
from node.routing.router import Provider

_UNKNOWN = "unknown"
_MAX_ENTRIES = 64
_MAX_TEXT = 2048
# Components of a multiaddress that have no value behind them (multiformats: multiaddr, protocols.csv).
_WITHOUT_VALUE = frozenset(
    (
        *("http", "https", "noise", "p2p-circuit", "p2p-stardust", "p2p-webrtc-direct", "p2p-webrtc-star"),
        *("p2p-websocket-star", "plaintextv2", "quic", "quic-v1", "tls", "udt", "utp", "webrtc"),
        *("webrtc-direct", "webtransport", "ws", "wss"),
    )
)
_PATHS = frozenset({"unix"})  # their value is the rest of the address


@dataclass(frozen=True, slots=True)
class ProviderFilter:
    """`wanted` and `refused` are names of a multiaddress's components, `protocols` those of transfers."""

    wanted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()

    @classmethod
    def of(cls, query: Mapping[str, str]) -> ProviderFilter:
        """From `filter-addrs` and `filter-protocols`. Raises BadRequest."""
        addresses, protocols = _entries(query, "filter-addrs"), _entries(query, "filter-protocols")
        refused = frozenset(entry[1:] for entry in addresses if entry.startswith("!"))
        return cls(
            frozenset(entry for entry in addresses if not entry.startswith("!")),
            refused,
            frozenset(protocols),
        )

    def __call__(self, provider: Provider) -> Provider | None:
        """What is left of it; None where nothing is."""
        if not self._protocols_fit(provider.protocols):
            return None
        if not self.wanted and not self.refused:
            return provider
        if not provider.addresses and _UNKNOWN in self.wanted:
            return provider
        left = tuple(filter(self._address_fits, provider.addresses))
        return replace(provider, addresses=left) if left else None

    def _protocols_fit(self, protocols: Sequence[str]) -> bool:
        if not self.protocols:
            return True
        return (
            not self.protocols.isdisjoint(map(str.lower, protocols))
            if protocols
            else _UNKNOWN in self.protocols
        )

    def _address_fits(self, address: str) -> bool:
        components = _components(address)
        if not self.refused.isdisjoint(components):
            return False
        return not self.wanted or not self.wanted.isdisjoint(components)


def _entries(query: Mapping[str, str], name: str) -> list[str]:
    text = query.get(name, "")
    entries = text.lower().split(",") if text else []
    if len(text) > _MAX_TEXT or len(entries) > _MAX_ENTRIES:
        raise BadRequest(f"parameter {name} invalid: at most {_MAX_ENTRIES} entries between commas")
    return entries


def _components(address: str) -> set[str]:
    """The names in it; a value is never taken for one."""
    parts, place = address.split("/")[1:], 0
    found: set[str] = set()
    while place < len(parts):
        found.add(parts[place])
        if parts[place] in _PATHS:
            break
        place += 1 if parts[place] in _WITHOUT_VALUE else 2
    return found
