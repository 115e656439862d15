"""Yjs updates put together by hand: one entry of the pinset's map as its writer makes it, or not quite."""

from __future__ import annotations

from pycrdt import Doc, Map

from cluster.pinset.documents.yjs_update import entry_key
from support.pinset_member import some_cid

CLIENT, OTHER = 77, 99
KEY = entry_key(some_cid(1), CLIENT)


def update_of(client: int = CLIENT, root: str = "pins", key: str = KEY, value: object = b"v") -> bytes:
    doc: Doc[Map[object]] = Doc(client_id=client)
    doc.get(root, type=Map)[key] = value
    return doc.get_update()


def nested(depth: int) -> bytes:
    """One map entry holding arrays within arrays: decodable, and deadly to yrs's recursion."""
    key = bytes([len(KEY)]) + KEY.encode()
    return b"\x01\x01\x4d\x00\x28\x01\x04pins" + key + b"\x01" + b"\x75\x01" * depth + b"\x7e\x00"
