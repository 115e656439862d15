"""A client that pins and unpins at whichever member answers, and knows what it was promised."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

from nodes import NodeProcess

from blockstore.cid import CID, RAW

PATIENCE = 2.0  # seconds until a client turns to another member
PAUSE = 0.02  # seconds between requests


@dataclass(slots=True)
class Promises:
    """What a client may rely on; requests without an answer promise nothing either way."""

    pinned: set[str] = field(default_factory=set)
    unpinned: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def broken(self, listed: set[str]) -> dict[str, set[str]]:
        """What a member's list says otherwise."""
        lost = self.pinned - self.unknown - listed
        risen = (self.unpinned - self.unknown) & listed
        return {what: found for what, found in (("lost", lost), ("risen", risen)) if found}


class PinWriter:
    """Four requests in five pin something new, the fifth unpins something that was promised."""

    def __init__(self, nodes: Sequence[NodeProcess], name: str, seed: int) -> None:
        self.promises = Promises()
        self._nodes = nodes
        self._name = name
        self._chance = Random(seed)
        self._at = self._chance.randrange(len(nodes))
        self._line: http.client.HTTPConnection | None = None
        self._count = 0
        self._ended = threading.Event()

    @contextmanager
    def writing(self) -> Iterator[Promises]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self.promises
        finally:
            self._ended.set()
            thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.wait(PAUSE):
                self._do_one()
        finally:
            self._hang_up()

    def _do_one(self) -> None:
        ours = sorted(self.promises.pinned - self.promises.unknown)
        if ours and self._chance.random() < 0.2:
            self._unpin(self._chance.choice(ours))
        else:
            self._count += 1
            self._pin(str(CID.identity(RAW, f"{self._name} {self._count}".encode())))

    def _pin(self, cid: str) -> None:
        if self._ask("POST", cid, {200}):
            self.promises.pinned.add(cid)

    def _unpin(self, cid: str) -> None:
        if self._ask("DELETE", cid, {200}):
            self.promises.pinned.discard(cid)
            self.promises.unpinned.add(cid)

    def _ask(self, method: str, cid: str, good: set[int]) -> bool:
        try:
            line = self._connected()
            line.request(method, f"/pins/{cid}", headers=self._secret())
            answer = line.getresponse()
            answer.read()
        except OSError:
            self._turn()
            self.promises.unknown.add(cid)
            return False
        except (http.client.HTTPException, ValueError):
            self._turn()
            self.promises.unknown.add(cid)
            return False
        return answer.status in good

    def _connected(self) -> http.client.HTTPConnection:
        if self._line is None:
            address = urlsplit(self._nodes[self._at].addresses()["api"])
            self._line = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
        return self._line

    def _secret(self) -> dict[str, str]:
        secret = (self._nodes[self._at].folder / "api.secret").read_text().strip()
        return {"Authorization": f"Bearer {secret}"}

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None

    def _turn(self) -> None:
        self._hang_up()
        self._at = (self._at + 1) % len(self._nodes)
