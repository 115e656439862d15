"""A connection that is looked at first, and then handed over to the protocol that answers on it."""

from __future__ import annotations

import asyncio


class RelayedProtocol(asyncio.Protocol):
    """What comes goes to `_inner`, once there is one; until then to `heard`."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._inner: asyncio.Protocol | None = None

    def relay_to(self, inner: asyncio.Protocol, data: bytes = b"") -> None:
        """The rest is between the other end and that protocol, beginning with what was heard already."""
        self._inner = inner
        inner.connection_made(self._transport)
        if data:
            inner.data_received(data)

    def heard(self, data: bytes) -> None:
        """It says something and was not handed over yet."""

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)
        elif not self._transport.is_closing():
            self.heard(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inner is not None:
            self._inner.connection_lost(exc)
