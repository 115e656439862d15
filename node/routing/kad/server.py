"""Answers other peers' requests to one DHT, from its table and from what peers gave this node to keep."""

from __future__ import annotations

from collections.abc import Callable

from node.names.errors import BadRecord
from node.routing.kad.message import KadMessage, KadRecord, KadType
from node.routing.kad.provider_store import ProviderStore
from node.routing.kad.routing_table import BUCKET, RoutingTable
from node.routing.kad.value_store import ValueStore
from node.routing.router import Provider

Known = Callable[[bytes], Provider | None]
"""A connected peer by the bytes of its id, with addresses of this DHT's kind."""


class KadServer:
    """Pure: a request and a time (seconds since 1970) in, an answer out."""

    def __init__(self, table: RoutingTable, known: Known, accepts: Callable[[Provider], bool]) -> None:
        self._table = table
        self._known = known
        self._accepts = accepts
        self._providers = ProviderStore()
        self._values = ValueStore()

    def __repr__(self) -> str:
        return f"<KadServer: {len(self._providers)} provider records, {len(self._values)} values>"

    def answer(self, peer: str, request: KadMessage, now: float) -> KadMessage | None:
        """None where the request takes no answer, or deserves none. Raises BadRecord."""
        if request.type is KadType.PING:
            return KadMessage(KadType.PING)
        if not request.key:
            raise BadRecord("a request without a key")
        if request.type is KadType.ADD_PROVIDER:
            self._add_provider(peer, request, now)
            return None
        if request.type is KadType.PUT_VALUE:
            return self._put(request, now)
        return self._get(peer, request, now)

    def _add_provider(self, peer: str, request: KadMessage, now: float) -> None:
        """A peer speaks for itself alone."""
        for provider in request.providers:
            if provider.peer == peer and self._accepts(provider):
                self._providers.add(request.key, provider, now)

    def _put(self, request: KadMessage, now: float) -> KadMessage:
        if request.record is None or request.record.key != request.key:
            raise BadRecord("a record under another key than it says")
        kept = self._values.put(request.key, request.record.value, now)
        if kept.raw != request.record.value:
            raise BadRecord("a newer record is here")
        return KadMessage(KadType.PUT_VALUE, request.key, request.record)

    def _get(self, peer: str, request: KadMessage, now: float) -> KadMessage:
        record, providers = None, tuple[Provider, ...]()
        if request.type is KadType.GET_VALUE:
            kept = self._values.get(request.key, now)
            record = None if kept is None else KadRecord(request.key, kept.raw)
        if request.type is KadType.GET_PROVIDERS:
            providers = tuple(self._providers.of(request.key, now))
        return KadMessage(request.type, request.key, record, self._closer(peer, request), providers)

    def _closer(self, peer: str, request: KadMessage) -> tuple[Provider, ...]:
        """The nearest that are known, and the very peer that is looked for; not the one that asks."""
        wanted = self._known(request.key) if request.type is KadType.FIND_NODE else None
        nearest = [one for one in self._table.nearest_to(request.key, BUCKET + 1) if one.peer != peer]
        first = [wanted] if wanted is not None else []
        others = [one for one in nearest if wanted is None or one.peer != wanted.peer]
        return tuple([*first, *others][:BUCKET])
