"""identify both ways on one host: who we are for peers, who they are for us, and news of either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from node.p2p.guarded_task import within
from node.p2p.swarm import identify
from node.p2p.swarm.host_config import HostConfig
from node.p2p.swarm.identify import PeerDescription
from node.p2p.swarm.multiaddress import listening
from node.p2p.transport.connection import Connection, Stream

_TIMEOUT = 10.0  # seconds for the message of a peer

OpenStream = Callable[[Connection, Sequence[str]], Awaitable[Stream]]


class IdentifyService:
    """`protocols` are what this host speaks now, `described` hears what a peer says of itself."""

    def __init__(
        self,
        config: HostConfig,
        protocols: Callable[[], Collection[str]],
        open_stream: OpenStream,
        described: Callable[[str, PeerDescription], None],
    ) -> None:
        self._config = config
        self._protocols = protocols
        self._open_stream = open_stream
        self._described = described
        listens = listening(config.sockets, config.identity.peer_id)
        self._addresses = [address.partition("/p2p/")[0] for address in listens]

    async def ask(self, connection: Connection) -> None:
        """Ask the peer who it is. Raises NetworkError."""
        stream = await self._open_stream(connection, [identify.PROTOCOL])
        try:
            await self._read(stream)
        finally:
            await stream.pipe.reset()

    async def push(self, connection: Connection) -> None:
        """Send the peer our changed description. Raises NetworkError."""
        stream = await self._open_stream(connection, [identify.PUSH])
        try:
            await self.answer(stream)
        finally:
            await stream.pipe.close()

    async def answer(self, stream: Stream) -> None:
        """Serves identify."""
        await stream.pipe.write(self._description(stream.connection))

    async def take_push(self, stream: Stream) -> None:
        """Serves identify push."""
        await self._read(stream)

    async def _read(self, stream: Stream) -> None:
        async with within(_TIMEOUT, "identify"):
            self._described(stream.peer, await identify.read(stream.pipe))

    def _description(self, connection: Connection) -> bytes:
        identity, settings = self._config.identity, self._config.settings
        protocols = list(self._protocols())
        return identify.describe(
            identity.public_protobuf, settings.agent, protocols, self._addresses, connection.remote
        )
