"""What is answered to lines: one each, by number; or of a quiet request the failures, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from blockstore.cid import CID
from node.http.errors import status_of, text_of
from node.http.go import gojson

RESULTS = ("pinned", "changed", "unchanged", "unpinned", "failed")
"""What can come of a line, in the order in which they are counted."""


class LineResult(NamedTuple):
    """What came of a line: `result` is a word for it; `changed` are fields that have another value now."""

    cid: CID
    result: str
    changed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LineFailure:
    """A line of which nothing was done; no CID where it has none that can be read."""

    cid: CID | None
    error: Exception


LineOutcome = LineResult | LineFailure


@dataclass(slots=True)
class LineAnswers:
    """Makes the bytes of the answer, and counts; `quiet` leaves out what went well."""

    quiet: bool
    counts: dict[str, int] = field(default_factory=dict)

    def of(self, numbers: Sequence[int], outcomes: Sequence[LineOutcome], last: int) -> bytes:
        """The answer to a group of lines; all lines up to `last` are durable, or have failed."""
        parts = [self._one(number, outcome) for number, outcome in zip(numbers, outcomes, strict=True)]
        if self.quiet:
            parts.append(b'{"durable":%d}\n' % last)
        return b"".join(parts)

    def end(self, lines: int) -> bytes:
        """The last line of all, to a body of so many lines."""
        counts = {result: self.counts[result] for result in RESULTS if result in self.counts}
        return gojson.encode({"lines": lines, **counts})

    def _one(self, number: int, outcome: LineOutcome) -> bytes:
        if isinstance(outcome, LineFailure):
            self._count("failed")
            return _failure(number, outcome)
        self._count(outcome.result)
        if self.quiet:
            return b""
        if outcome.changed:
            return _changed(number, outcome)
        return f'{{"line":{number},"cid":"{outcome.cid}","result":"{outcome.result}"}}\n'.encode()

    def _count(self, result: str) -> None:
        self.counts[result] = self.counts.get(result, 0) + 1


def _failure(number: int, failure: LineFailure) -> bytes:
    cid, error = failure.cid, failure.error
    return gojson.encode(
        {
            "line": number,
            "cid": str(cid) if cid else None,
            "result": "failed",
            "code": status_of(error),
            "error": text_of(error),
        }
    )


def _changed(number: int, result: LineResult) -> bytes:
    return gojson.encode(
        {"line": number, "cid": str(result.cid), "result": result.result, "changed": list(result.changed)}
    )
