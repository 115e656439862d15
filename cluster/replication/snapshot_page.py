"""A page of a member's documents, on the wire: what a snapshot and a mended document are made of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cluster.common import wire
from cluster.errors import BadUpdate
from cluster.pinset.documents.foreign_document import DocumentParts
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.tables.sql_snapshot import MAX_PAGE_DOCUMENTS
from cluster.ports import MAX_CALL
from cluster.replication.heads import MAX_HEADS, decode_logs, encode_logs

_MAX_PARTS = 4096  # of one document: a store makes one of them as soon as they are many
_MAX_NUMBER = 1 << 32


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Documents [first, last), and logs that moved behind arrival `since` of that opening of the store."""

    first: int
    last: int
    store: bytes
    since: int

    @classmethod
    def decode(cls, data: bytes) -> PageRequest:
        """Raises BadUpdate."""
        fields = wire.Fields.decode(data, 1024)
        first = fields.integer("first", high=_MAX_NUMBER)
        last = fields.integer("last", low=first + 1, high=_MAX_NUMBER)
        return cls(first, last, fields.data("store", 32), fields.integer("since"))

    def __bytes__(self) -> bytes:
        return wire.encode({"first": self.first, "last": self.last, "store": self.store, "since": self.since})


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """Documents in order of number, and where the next page begins.

    `logs` are those that moved, and how far: documents of this page hold no batch beyond that. `more`: there
    are further ones, which are asked for as heads are.
    """

    store: bytes
    documents: tuple[DocumentParts, ...]
    next: int
    logs: tuple[tuple[AuthorLog, int], ...]
    until: int
    more: bool

    @classmethod
    def decode(cls, data: bytes, request: PageRequest) -> SnapshotPage:
        """Raises BadUpdate for an answer that is none to that request."""
        fields = wire.Fields.decode(data, MAX_CALL)
        following = fields.integer("next", low=request.first + 1, high=request.last)
        return cls(
            store=fields.data("store", 32),
            documents=_documents(fields, request.first, following),
            next=following,
            logs=decode_logs(fields, "logs", 2 * MAX_HEADS),
            until=fields.integer("until"),
            more=bool(fields.integer("more")),
        )

    def __bytes__(self) -> bytes:
        return wire.encode(
            {
                "store": self.store,
                "docs": [document.number for document in self.documents],
                "parts": [[*document.parts] for document in self.documents],
                "next": self.next,
                "logs": encode_logs(self.logs),
                "until": self.until,
                "more": int(self.more),
            }
        )


def _documents(fields: wire.Fields, first: int, last: int) -> tuple[DocumentParts, ...]:
    numbers, parts = fields.items("docs", MAX_PAGE_DOCUMENTS), fields.items("parts", MAX_PAGE_DOCUMENTS)
    if len(numbers) != len(parts):
        raise BadUpdate("a page of documents needs the parts of each")
    documents = tuple(_document(number, pieces) for number, pieces in zip(numbers, parts, strict=True))
    bounds = [first - 1, *(document.number for document in documents), last]
    if any(one >= two for one, two in pairwise(bounds)):
        raise BadUpdate("a page of documents that are not in order, or not those that were asked for")
    return documents


def _document(number: wire.Wire, pieces: wire.Wire) -> DocumentParts:
    match number, pieces:
        case int(), [*parts] if len(parts) <= _MAX_PARTS and all(isinstance(part, bytes) for part in parts):
            return DocumentParts(number, tuple(part for part in parts if isinstance(part, bytes)))
        case _:
            raise BadUpdate("a document is its number and its parts")
