"""Peers that do not belong here are disconnected: at once when removed, else after a time to join."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable

from node.p2p.admission.gate import Gate

_log = logging.getLogger(__name__)


class Newcomers:
    """Watches the connected peers of one network. `patience`: seconds a peer has to become a member."""

    def __init__(
        self,
        gate: Gate,
        patience: float,
        disconnect: Callable[[str], Coroutine[object, object, None]],
        spawn: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        self._gate = gate
        self._patience = patience
        self._disconnect = disconnect
        self._spawn = spawn
        self._belonged: set[str] = set()
        self._leaving: dict[str, asyncio.TimerHandle] = {}

    def peer_changed(self, peer: str, connected: bool) -> None:
        self._belonged.discard(peer)
        self._stay(peer)
        if connected:
            self._look_at(peer)

    def gate_changed(self, connected: Iterable[str]) -> None:
        for peer in connected:
            self._look_at(peer)

    def close(self) -> None:
        for peer in tuple(self._leaving):
            self._stay(peer)

    def _look_at(self, peer: str) -> None:
        if not self._gate.expels(peer):
            self._belonged.add(peer)
            self._stay(peer)
        elif peer in self._belonged:
            self._belonged.discard(peer)
            self._expel(peer)
        elif peer not in self._leaving:
            loop = asyncio.get_running_loop()
            self._leaving[peer] = loop.call_later(self._patience, self._expel, peer)

    def _stay(self, peer: str) -> None:
        handle = self._leaving.pop(peer, None)
        if handle is not None:
            handle.cancel()

    def _expel(self, peer: str) -> None:
        self._stay(peer)
        _log.info("%s is no member of this cluster: disconnected", peer)
        self._spawn(self._disconnect(peer))
