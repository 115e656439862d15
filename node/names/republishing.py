"""Names published again before they are forgotten: by who has the key, else by one member for all."""

from __future__ import annotations

import asyncio
import logging

from cluster.common.election import elected
from node.datadir.keystore import Keystore
from node.datadir.private_key import PrivateKey
from node.errors import NodeError
from node.names.name import IpnsName
from node.names.publishing import LIFETIME, Publishing
from node.names.record_store import Published, RecordStore
from node.names.surroundings import NameCluster, NameWorld

_AT_ONCE = 8
_MOST_PAUSE = 60.0  # seconds between looks at what is due
_FORGOTTEN = 30 * 86400.0  # seconds after its end that a record of others is only one that was seen

_log = logging.getLogger(__name__)


class Republishing:
    """A key that was imported at two members has its name renewed by either."""

    def __init__(
        self,
        store: RecordStore,
        publishing: Publishing,
        keys: Keystore,
        cluster: NameCluster,
        world: NameWorld,
        period: float,
    ) -> None:
        """`period`: seconds after which a name is due."""
        self._store = store
        self._publishing = publishing
        self._keys = keys
        self._cluster = cluster
        self._now = world.now
        self._guard = world.guard
        self._period = period

    async def turn(self) -> None:
        """Wait a while, then publish what is due."""
        await asyncio.sleep(min(_MOST_PAUSE, self._period / 4))
        for _ in range(1 + int(_MOST_PAUSE)):
            due = await self._store.due(self._now(), _AT_ONCE)
            await asyncio.gather(*map(self._again, due))
            if len(due) < _AT_ONCE:
                return

    async def _again(self, published: Published) -> None:
        """Whatever goes wrong, it is not due again at once."""
        await self._store.postpone(published.name, self._now() + self._period)
        with self._guard.around("publishing again", str(published.name)):
            try:
                await self._publish(published)
            except NodeError as error:
                _log.warning("%s is not published again: %s", published.name, error)

    async def _publish(self, published: Published) -> None:
        name, record = published.name, published.record
        key = await asyncio.to_thread(self._key_of, name)
        if key is not None:
            await self._publishing.renew(key, record, published.lifetime or LIFETIME)
        elif record.expires + _FORGOTTEN < self._now():
            await self._store.withdraw(name)
        elif record.expires > self._now() and self._is_ours(name):
            await self._publishing.again(name, record)

    def _is_ours(self, name: IpnsName) -> bool:
        us = self._cluster.us
        return elected(name.cid, {*self._cluster.live(), us}) == us

    def _key_of(self, name: IpnsName) -> PrivateKey | None:
        return self._keys.with_multihash(name.multihash)
