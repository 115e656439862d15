"""What asking elsewhere for a block has come to: how many were asked, what they said, never who they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class FetchOutcome(Enum):
    """What one source has said of a block; the text goes with a number: "2 without it"."""

    LACKING = "without it"
    SILENT = "silent"
    UNREACHABLE = "out of reach"
    BUSY = "too busy"
    FAILING = "failing"
    WRONG = "with bytes that do not match the hash"
    RESTING = "left alone after earlier failures"
    PAUSING = "to be asked again in a moment"
    WAITING = "yet to answer"


@dataclass(frozen=True, slots=True)
class FetchReport:
    """One kind of source, asked for one block.

    `route` names the network for people; `source` what is on it, in the singular. Of the `connected` sources,
    and of `holders` that are to have the block (`holders_connected` of them within reach), those that were
    asked have an outcome each. `note` stands for all that where the route itself failed.
    """

    route: str = ""
    source: str = "peer"
    connected: int = 0
    holders: int = 0
    holders_connected: int = 0
    outcomes: tuple[FetchOutcome, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        """On one line, without names or addresses: strangers may read it."""
        text = self.note or f"{self._promised()}{self._answered()}"
        return f"{self.route}: {text}" if self.route else text

    @property
    def hopeful(self) -> bool:
        """Whether a source is within reach, or is to have the block."""
        return bool(self.connected or self.holders)

    @property
    def decided(self) -> bool:
        """Whether all who were asked have answered that they do not have it, or have shown that."""
        return all(outcome in (FetchOutcome.LACKING, FetchOutcome.WRONG) for outcome in self.outcomes)

    @property
    def idle(self) -> bool:
        """Whether no source is about to answer, so that others may as well be asked."""
        return FetchOutcome.WAITING not in self.outcomes and bool(self.outcomes or not self.hopeful)

    @property
    def settled(self) -> bool:
        """Whether no source is left whose answer could change anything, unless a new one comes."""
        return self.idle and FetchOutcome.PAUSING not in self.outcomes

    def _promised(self) -> str:
        if not self.holders:
            return ""
        return f"{self.holders} to hold it, {self.holders_connected} of them connected; "

    def _answered(self) -> str:
        counts = Counter(self.outcomes)
        if not counts:
            connected = f"{_several(self.connected, self.source)} connected, none asked yet"
            return connected if self.connected else f"no {self.source} connected"
        asked = f"{_several(counts.total(), self.source)} asked"
        answers = [(outcome, counts[outcome]) for outcome in FetchOutcome if counts[outcome]]
        if len(answers) == 1 and answers[0][0] in _NONE:
            return f"{asked}, none {_NONE[answers[0][0]]}"
        return f"{asked}: " + ", ".join(f"{count} {outcome.value}" for outcome, count in answers)


def summary(reports: Sequence[FetchReport]) -> str:
    """All that was tried, on one line."""
    return "; ".join(map(str, reports)) or "there is nobody to ask"


def together(reports: Sequence[FetchReport]) -> FetchReport:
    """Sources of one kind that were asked one by one, as one report; at least one."""
    return replace(
        reports[0],
        connected=sum(report.connected for report in reports),
        outcomes=tuple(outcome for report in reports for outcome in report.outcomes),
    )


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


_NONE = {
    FetchOutcome.LACKING: "has it",
    FetchOutcome.SILENT: "answered",
    FetchOutcome.UNREACHABLE: "could be reached",
    FetchOutcome.WAITING: "has answered yet",
}
