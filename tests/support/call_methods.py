"""The methods that one simulated peer serves, answered as `cluster.ports.PeerCalls` promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cluster.ports import MAX_CALL, CallFailed, CallHandler, PeerOffline, claim, no_method


class Methods:
    """What the handlers raise reaches the caller as text."""

    def __init__(self) -> None:
        self._handlers: dict[str, CallHandler] = {}

    def serve(self, method: str, handler: CallHandler) -> None:
        claim(method, self._handlers)
        self._handlers[method] = handler

    def replace(self, method: str, handler: CallHandler) -> None:
        """That peer runs another program from now on."""
        self._handlers[method] = handler

    def handler(self, method: str) -> CallHandler:
        """What answers it now."""
        return self._handlers[method]

    def forget(self, method: str) -> None:
        """That peer runs a release that does not have it."""
        del self._handlers[method]

    async def answer(self, caller: str, method: str, request: bytes) -> bytes:
        """Raises CallFailed."""
        if method not in self._handlers:
            raise CallFailed(no_method(method))
        try:
            answer = await self._handlers[method](caller, request)
        except Exception as error:  # noqa: BLE001 - the promise: any exception reaches the caller as text
            raise CallFailed(str(error) or type(error).__name__) from None
        if len(answer) > MAX_CALL:
            raise CallFailed(f"the response has {len(answer)} bytes; the limit is {MAX_CALL}")
        return answer

    def close(self) -> None:
        self._handlers.clear()


@asynccontextmanager
async def within(seconds: float, peer: str) -> AsyncIterator[None]:
    """Raises PeerOffline when the block takes longer."""
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise PeerOffline(f"{peer} did not answer within {seconds:g} s") from None
