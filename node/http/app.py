"""What the applications of all listeners share: the node's parts, under one typed key."""

from __future__ import annotations

from aiohttp import web

from node.parts import Parts

PARTS = web.AppKey("parts", Parts)
