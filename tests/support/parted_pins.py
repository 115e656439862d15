"""A pinset of which each member has a copy: what one writes reaches those that it can talk to.

The newest write of a CID counts everywhere in the end, as in the real one; until then members that are cut
off from each other decide by what they know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from blockstore.cid import CID
from cluster.pin import Pin
from support.memory_pinset import SharedPins

Stamp = tuple[int, str]


@dataclass
class PartedPins:
    """All copies. `reached` says whom a peer can talk to."""

    reached: Callable[[str], frozenset[str]]
    copies: dict[str, PinsCopy] = field(default_factory=dict)
    clock: int = 0

    def copy(self, peer: str) -> PinsCopy:
        self.copies[peer] = PinsCopy(everywhere=self, peer=peer)
        return self.copies[peer]

    def settle(self) -> None:
        """Those that can talk tell each other what they missed."""
        for peer, mine in self.copies.items():
            for other in sorted(self.reached(peer)):
                for cid, stamp in list(mine.stamps.items()):
                    self.copies[other].take(cid, stamp, mine.pins.get(cid))

    def newest(self) -> Mapping[CID, Pin]:
        """As it will be once all can talk."""
        found: dict[CID, tuple[Stamp, Pin | None]] = {}
        for one in self.copies.values():
            for cid, stamp in one.stamps.items():
                if cid not in found or found[cid][0] < stamp:
                    found[cid] = stamp, one.pins.get(cid)
        return {cid: pin for cid, (_, pin) in found.items() if pin is not None}


@dataclass
class PinsCopy(SharedPins):
    """One member's."""

    everywhere: PartedPins = field(default_factory=lambda: PartedPins(lambda peer: frozenset()))
    peer: str = ""
    stamps: dict[CID, Stamp] = field(default_factory=dict)

    def changed(self, cid: CID) -> None:
        """This member wrote it."""
        self.everywhere.clock += 1
        stamp, pin = (self.everywhere.clock, self.peer), self.pins.get(cid)
        self.stamps[cid] = stamp
        super().changed(cid)
        for other in sorted(self.everywhere.reached(self.peer)):
            self.everywhere.copies[other].take(cid, stamp, pin)

    def take(self, cid: CID, stamp: Stamp, pin: Pin | None) -> None:
        """Another one wrote it."""
        if stamp <= self.stamps.get(cid, (0, "")):
            return
        self.stamps[cid] = stamp
        if pin is None:
            self.pins.pop(cid, None)
            self.removed.add(cid)
        else:
            self.pins[cid] = pin
        before, _ = self.writes, super().changed(cid)
        self.writes = before
