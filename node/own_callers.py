"""What callers show, leave behind and hand over: credentials, the audit log, requests, open files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from node.access.credentials import Credentials
from node.access.tokens import read_tokens
from node.audit.audit_log import AuditLog
from node.datadir.api_secret import made_secret
from node.files.handed_files import HandedFiles, taking_files
from node.opened_folder import OpenedFolder
from node.own_cluster import OwnCluster
from node.pinning.request_store import open_request_store
from node.pinning.service import PinningService


@dataclass(frozen=True, slots=True)
class OwnCallers:
    """For every face that asks who calls."""

    credentials: Credentials
    audit: AuditLog
    handed_files: HandedFiles
    pinning: PinningService


@asynccontextmanager
async def open_own_callers(opened: OpenedFolder, own: OwnCluster) -> AsyncIterator[OwnCallers]:
    """Raises BadTokenFile, StoreCorrupt."""
    folder, cluster = opened.folder, own.cluster
    async with AsyncExitStack() as stack:
        requests = await stack.enter_async_context(open_request_store(folder.requests, opened.ballast))
        handed = await stack.enter_async_context(taking_files(folder.handed_files))
        audit = AuditLog(folder.audit, opened.config.audit.keep_mib << 20)
        stack.callback(audit.close)
        yield OwnCallers(
            credentials=Credentials(made_secret(folder.secret), read_tokens(folder.access)),
            audit=audit,
            handed_files=handed,
            pinning=PinningService(cluster, requests, lambda: cluster.peers.us().ipfs.addresses),
        )
