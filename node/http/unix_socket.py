"""A listener's Unix socket beside its port."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from node.http.connection import Serve


class SocketSite(web.SockSite):
    """Connections of a Unix socket are ours before they are aiohttp's."""

    __slots__ = ("_connection",)

    def __init__(self, runner: web.BaseRunner, bound: socket.socket, connection: Serve, backlog: int) -> None:
        super().__init__(runner, bound, backlog=backlog)
        self._connection = connection

    async def start(self) -> None:
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_unix_server(
            self._connection, sock=self._sock, backlog=self._backlog
        )
