"""The part of Kubo's RPC that is built, answering as Kubo does; the rest is absent (404)."""

from node.http.rpc.app import rpc_app

__all__ = ["rpc_app"]
