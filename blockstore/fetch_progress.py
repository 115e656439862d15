"""How fetches stand while they run: read at a deadline, or to decide whether to ask elsewhere too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blockstore.cid import CID
from blockstore.fetch_report import FetchReport

Reports = Callable[[], tuple[FetchReport, ...]]


class FetchProgress:
    """One fetch. Its caller hands this to `Exchange.fetch`, which first of all says where to read it."""

    def __init__(self) -> None:
        self._read: Reports = lambda: ()

    def follow(self, read: Reports) -> None:
        """`read` gives one report for each kind of source, as it stands when it is called."""
        self._read = read

    def reports(self) -> tuple[FetchReport, ...]:
        """Empty until the exchange has begun."""
        return self._read()

    @property
    def idle(self) -> bool:
        """Whether no source is about to answer, so that others may as well be asked."""
        reports = self.reports()
        return bool(reports) and all(report.idle for report in reports)

    @property
    def settled(self) -> bool:
        """Whether no source is left whose answer could change anything, unless a new one comes."""
        reports = self.reports()
        return bool(reports) and all(report.settled for report in reports)


class FetchesInFlight:
    """The fetches of one request, by block."""

    def __init__(self) -> None:
        self._running: dict[CID, FetchProgress] = {}

    @contextmanager
    def begun(self, cid: CID) -> Iterator[FetchProgress]:
        """A fetch that lasts as long as the block of code."""
        progress = self._running[cid] = FetchProgress()
        try:
            yield progress
        finally:
            if self._running.get(cid) is progress:
                del self._running[cid]

    def reports(self, cid: CID) -> tuple[FetchReport, ...]:
        """How the fetch of that block stands now; empty when none is in flight."""
        progress = self._running.get(cid)
        return progress.reports() if progress is not None else ()
