"""What the applications of the listeners share, under typed keys: the node's parts, and who may call."""

from __future__ import annotations

from aiohttp import web

from node.http.admin.callers import Callers
from node.parts import Parts

CALLERS = web.AppKey("callers", Callers)
PARTS = web.AppKey("parts", Parts)
