"""When a member starts from another's documents, and in what portions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """A member without any pin pulls so many batches one by one; more would cost it more than documents do.

    A page holds documents of about `page_bytes`, one of which may be larger. `group` documents are joined in
    one transaction: this node's own writes wait for no more than that.
    """

    min_batches: int = 256
    page_bytes: int = 1024 * 1024
    group: int = 256


DEFAULT_LIMITS = SnapshotLimits()
