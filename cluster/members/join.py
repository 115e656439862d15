"""Becoming a member with a join token, and letting others in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from blockstore.common.backoff import Backoff
from cluster.common import wire
from cluster.common.local_member import LocalMember
from cluster.common.methods import JOIN
from cluster.errors import BadInvite, BadUpdate, UntrustedPeer
from cluster.members.invite import Invite
from cluster.members.invite_grant import InviteGrant
from cluster.members.member_list import MemberList
from cluster.members.record import MAX_RECORDS, PROFILE
from cluster.ports import CallFailed, PeerCalls, PeerOffline

_MAX_ANSWER = 4 * 1024 * 1024
_MAX_SHOWN = 3 * 1024 * 1024  # bytes of records
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between rounds over the addresses
_WARN_AFTER = 4  # rounds in vain after which a log line says what to do
_log = logging.getLogger(__name__)


class JoinHandler:
    """Lets in who shows a valid grant: made by this trusted member, in time, not used by another peer."""

    def __init__(self, local: LocalMember, members: MemberList, now: Callable[[], float]) -> None:
        self._local = local
        self._members = members
        self._now = now
        self._lock = asyncio.Lock()  # or two that show one invitation at once would both find it unused

    async def answer(self, peer: str, request: bytes) -> bytes:
        """To JOIN: every member record, now the caller's among them. Raises BadInvite, UntrustedPeer."""
        fields = wire.Fields.decode(request, 64 * 1024)
        genesis = self._local.genesis
        if fields.data("cluster", 32) != genesis.cluster_id:
            raise BadInvite(f'this is the cluster "{genesis.name}", the join token is for another one')
        if not self._members.is_trusted(self._local.peer):
            raise UntrustedPeer("this member only follows the cluster: join at a trusted one")
        grant = InviteGrant.decode(fields.data("grant", 2048))
        async with self._lock:
            self._check(peer, grant)
            if self._members.invited_with(grant.id) is None:
                await self._members.grant(peer, grant.role, grant.id)
        await self._members.accept(fields.datas("records", 8), vouched=False)
        return wire.encode({"records": [*self._members.records(_MAX_SHOWN)]})

    def _check(self, peer: str, grant: InviteGrant) -> None:
        if not grant.is_valid(self._local.cluster_id, self._local.signer, self._members.is_trusted):
            raise BadInvite(
                "the join token was not made by a trusted member of this cluster, or leads to another one"
            )
        if grant.expires < self._now():
            raise BadInvite("the join token has expired: make a new one with `pinfold cluster invite`")
        used_by = self._members.invited_with(grant.id)
        if used_by not in (None, peer) or (used_by == peer and not self._members.is_member(peer)):
            raise BadInvite("the join token was used already: make a new one with `pinfold cluster invite`")


async def join(invite: Invite, local: LocalMember, members: MemberList, calls: PeerCalls) -> None:
    """Show the invitation at its addresses until a member lets us in; retries while none answers.

    Raises BadInvite when a member refuses it.
    """
    pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, draw=local.chance.random)
    for attempt, pause in enumerate(pauses):
        if await _join_somewhere(invite, local.peer, members, calls):
            return
        if attempt == _WARN_AFTER:
            _log.warning(
                "no member answers at %s, where the invitation leads: is that machine up, does a firewall let"
                " this one through? If it has moved: pinfold cluster connect ADDRESS, with one that"
                " `pinfold id` prints there. This goes on being tried",
                ", ".join(invite.addresses),
            )
        await asyncio.sleep(pause)


async def _join_somewhere(invite: Invite, us: str, members: MemberList, calls: PeerCalls) -> bool:
    connected = [peer for peer in invite.trusted if peer in calls.peers()]  # by an address that a user named
    for place in (*connected, *invite.addresses):
        try:
            peer = place if place in connected else await calls.connect(place)
            if peer not in invite.trusted:
                _log.warning("%s answers as %s, whom the join token does not name", place, peer)
                continue
            await _show(invite, us, members, calls, peer)
        except PeerOffline as error:
            _log.info("cannot join at %s yet: %s", place, error)
        else:
            return True
    return False


async def _show(invite: Invite, us: str, members: MemberList, calls: PeerCalls, peer: str) -> None:
    request = wire.encode(
        {
            "cluster": invite.genesis.cluster_id,
            "grant": invite.grant.envelope,
            "records": [*members.records_of(us, PROFILE)],
        }
    )
    try:
        answer = await calls.call(peer, JOIN.name, request)
        records = wire.Fields.decode(answer, _MAX_ANSWER).datas("records", MAX_RECORDS)
        await members.accept(records, vouched=True)
    except (CallFailed, BadUpdate) as error:
        raise BadInvite(f"cannot join: {error}") from None
    if members.role(us) is None:
        raise BadInvite(f"cannot join: {peer} answers, and its member list does not name this node")
