"""Room that is spoken for: imports and pins under way say how much is to come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from blockstore.errors import StorageFull


class Reservations:
    """`room` measures what the store still takes, with what is reserved; `full` is the error of more."""

    def __init__(self, room: Callable[[], Awaitable[int]], full: Callable[[int, int], StorageFull]) -> None:
        """`full(room, size)`."""
        self._room = room
        self._full = full
        self._held: dict[object, int] = {}
        self._turn = asyncio.Lock()

    @property
    def total(self) -> int:
        """Bytes that are to come."""
        return sum(self._held.values())

    @contextmanager
    def reserve(self) -> Generator[RoomReservation]:
        """See `ReservedStore.reserve`."""
        reservation = RoomReservation(self)
        try:
            yield reservation
        finally:
            self._held.pop(reservation, None)

    async def set(self, reservation: RoomReservation, size: int) -> None:
        async with self._turn:
            others = self.total - self._held.get(reservation, 0)
            room = await self._room() - others
            if size > room:
                raise self._full(max(0, room), size)
            self._held[reservation] = size

    def lower(self, reservation: RoomReservation, size: int) -> None:
        left = self._held.get(reservation, 0) - size
        if left > 0:
            self._held[reservation] = left
        else:
            self._held.pop(reservation, None)


class RoomReservation:
    """See Reservation."""

    def __init__(self, reservations: Reservations) -> None:
        self._reservations = reservations

    async def need(self, size: int) -> None:
        await self._reservations.set(self, size)

    def took(self, size: int) -> None:
        self._reservations.lower(self, size)
