"""The member list as this node stored it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cluster.common.local_member import LocalMember
from cluster.errors import BadUpdate
from cluster.members.member_list import MemberList
from cluster.members.record import SignedMemberRecord
from cluster.members.record_store import MemberRecordStore

_log = logging.getLogger(__name__)


async def open_members(
    store: MemberRecordStore, local: LocalMember, trusted: Iterable[str] = ()
) -> MemberList:
    """What cannot be read of it is reported and dropped: other members have it."""
    good: list[SignedMemberRecord] = []
    for kind, peer, envelope in await store.all():
        try:
            signed = SignedMemberRecord.read(envelope)
            signed.check_signature(local.cluster_id, local.signer)
            good.append(signed)
        except BadUpdate as error:
            _log.warning(
                "the stored %s of %r is dropped, members that have a good one show it: %s", kind, peer, error
            )
            await _drop(store, kind, peer)
    return MemberList(local, store, trusted, good, await store.used_invites())


async def _drop(store: MemberRecordStore, kind: str, peer: str) -> None:
    try:
        await store.remove(kind, peer)
    except OSError as error:  # no room: it is passed over again at the next start
        _log.info("it stays in the file: %s", error)
