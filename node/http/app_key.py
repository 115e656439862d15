"""The typed key under which the application of each listener has the node's parts."""

from __future__ import annotations

from aiohttp import web

from node.parts import Parts

PARTS = web.AppKey("parts", Parts)
