"""Reads documents of a trusted member, bounded in every part, before ours may be joined with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from cluster.common.genesis import Genesis
from cluster.common.pin_codec import PinValue, decode_pin
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.errors import BadUpdate
from cluster.pinset.documents.void_clients import without_clients
from cluster.pinset.documents.yjs_state import StatePart, parse_state


@dataclass(frozen=True, slots=True)
class DocumentParts:
    """A document as a member stores it: updates that make it when they are applied in order."""

    number: int
    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ForeignDocument:
    """Its parts with what they hold, and what their entries say, by the bytes of the value."""

    number: int
    parts: tuple[tuple[bytes, StatePart], ...]
    values: Mapping[bytes, PinValue]

    def without(self, void: Set[int]) -> ForeignDocument:
        """The same without what those clients wrote."""
        kept = (without_clients(data, void) for data, _ in self.parts)
        return replace(self, parts=tuple((data, parse_state(data, MAX_VALUE_BYTES)) for data in kept))

    @property
    def newest_stamp(self) -> int:
        return max((value.stamp for value in self.values.values()), default=0)


def read_document(document: DocumentParts, genesis: Genesis, clients: Set[int]) -> ForeignDocument:
    """`clients` are those that may have written it. Raises BadUpdate for what no member's document holds."""
    if document.number >> genesis.document_bits:
        raise BadUpdate(f"there is no document {document.number}")
    parts = tuple((data, parse_state(data, MAX_VALUE_BYTES)) for data in document.parts)
    values: dict[bytes, PinValue] = {}
    for _, part in parts:
        _check_place(part, document.number, genesis)
        if not part.clocks.keys() <= clients:
            raise BadUpdate(f"document {document.number} has items of a log that its member does not name")
        _decode(part.values, values)
    return ForeignDocument(document.number, parts, values)


def _check_place(part: StatePart, number: int, genesis: Genesis) -> None:
    for cid in part.cids:
        if genesis.document_of(cid) != number:
            raise BadUpdate(f"the entry of {cid} is in a document where it does not belong")


def _decode(values: Iterable[bytes], found: dict[bytes, PinValue]) -> None:
    for value in values:
        if value not in found:
            found[value] = decode_pin(value)
