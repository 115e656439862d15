"""A topological order of the records of one call: each can be judged when it comes, in linear time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from cluster.members.record import GRANT, SignedMemberRecord


class RecordOrder:
    """Grants by their signer, then profiles and duties, which say something of members."""

    def __init__(self) -> None:
        self._grants: defaultdict[str, list[SignedMemberRecord]] = defaultdict(list)
        self._others: list[SignedMemberRecord] = []

    def add(self, signed: SignedMemberRecord) -> None:
        if signed.record.kind == GRANT:
            self._grants[signed.record.signer].append(signed)
        else:
            self._others.append(signed)

    def all(self) -> Iterator[SignedMemberRecord]:
        """Everything, grants first."""
        for grants in self._grants.values():
            yield from grants
        yield from self._others

    def of_trusted(self, is_trusted: Callable[[str], bool]) -> Iterator[SignedMemberRecord]:
        """What may count without a voucher, asked anew after each: a grant may make another signer trusted.

        Grants of signers that stay untrusted are left out but for their own leaving.
        """
        signers = [signer for signer in self._grants if is_trusted(signer)]
        while signers:
            for signed in self._grants.pop(signers.pop(), ()):
                yield signed
                if signed.record.peer in self._grants and is_trusted(signed.record.peer):
                    signers.append(signed.record.peer)
        for grants in self._grants.values():
            yield from (signed for signed in grants if signed.record.peer == signed.record.signer)
        yield from self._others
