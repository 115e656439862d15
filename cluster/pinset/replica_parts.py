"""What the parts of a replica share: one of each for an open pinset."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.common.local_member import LocalMember
from cluster.pinset.committing import Committing
from cluster.pinset.document_cache import DocumentCache
from cluster.pinset.log.log_heads import LogHeads
from cluster.pinset.own_log import OwnLog
from cluster.pinset.tables.store import PinsetStore


@dataclass(frozen=True, slots=True)
class ReplicaParts:
    """They are used inside the turn of the replica alone, so nothing here knows of another change."""

    local: LocalMember
    store: PinsetStore
    heads: LogHeads
    documents: DocumentCache
    own: OwnLog
    committing: Committing
