"""Values of dag-cbor, put into one another without recursion."""

from __future__ import annotations

from typing import TypeAlias

from blockstore.cid import CID
from blockstore.errors import DagTooLarge
from blockstore.ipld.cbor_items import LIST, bad_at

MAX_DEPTH = 1024
"""Levels of lists and maps in one another (go-ipld-prime's limit)."""
MAX_ITEMS = 500_000
"""Values that are made of one block: some 60 MB. Links are found in larger ones too."""

Value: TypeAlias = bool | int | float | str | bytes | CID | list["Value"] | dict[str, "Value"] | None


class ValueBuilder:
    """Takes values in the order of the bytes; `value` is the outermost, once `done`."""

    def __init__(self) -> None:
        self.value: Value = None
        self.done = False
        self._open: list[tuple[list[Value] | dict[str, Value], int]] = []
        self._left = 0
        self._key: str | None = None
        self._keys: list[str | None] = []
        self._items = 0

    @property
    def untold(self) -> bool:
        """Whether the level that is open ends with a break."""
        return bool(self._open) and self._left < 0

    def put(self, value: Value, position: int) -> None:
        """A value that is whole; it may complete those around it."""
        self._count()
        self._hold(value, position)
        self._close(position)

    def open(self, major: int, left: int, position: int) -> None:
        """A list or a map of so many items."""
        self._count(max(left, 0))
        if len(self._open) == MAX_DEPTH:
            raise DagTooLarge(f"dag-cbor is nested deeper than {MAX_DEPTH} levels")
        if self._open and isinstance(self._open[-1][0], dict) and self._key is None:
            raise bad_at(position, "a key is no text")
        self._open.append(([] if major == LIST else {}, self._left))
        self._keys.append(self._key)
        self._left, self._key = left, None
        self._close(position)

    def end(self, position: int) -> None:
        """A break."""
        if self._key is not None:
            raise bad_at(position, "a map ends behind a key")
        self._left = 0
        self._close(position)

    def _hold(self, value: Value, position: int) -> None:
        if not self._open:
            self.value, self.done = value, True
            return
        holder = self._open[-1][0]
        if isinstance(holder, list):
            holder.append(value)
        elif self._key is not None:
            holder[self._key] = value
            self._key = None
        elif isinstance(value, str):
            self._key = value
        else:
            raise bad_at(position, "a key is no text")
        self._left -= 1

    def _close(self, position: int) -> None:
        while self._open and self._left == 0:
            value, self._left = self._open.pop()
            self._key = self._keys.pop()
            self._hold(value, position)

    def _count(self, promised: int = 0) -> None:
        self._items += 1
        if self._items + promised > MAX_ITEMS:
            raise DagTooLarge(f"the dag-cbor node has more than {MAX_ITEMS} values: too many to look into")
