"""Which records of the audit log are wanted."""

from __future__ import annotations

from dataclasses import dataclass

from node.audit.record import AuditRecord


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Every condition given must hold. `refused`: statuses from 400 on alone; `since`: seconds since 1970."""

    name: str = ""
    owner: str = ""
    cid: str = ""
    method: str = ""
    refused: bool = False
    since: float = 0.0

    def fits(self, record: AuditRecord) -> bool:
        return (
            (not self.name or record.name == self.name)
            and (not self.owner or record.owner == self.owner)
            and (not self.cid or self.cid in record.cids)
            and (not self.method or record.method == self.method)
            and (not self.refused or record.status >= 400 or record.failed)
            and record.time >= self.since
        )
