"""key/*: the private keys of this node's names. None leaves it: `pinfold key export` reads the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from node.datadir.keystore import Keystore
from node.datadir.private_key import MAX_BYTES, KeyFormat, PrivateKey
from node.http.app_key import PARTS
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.gojson import Json
from node.http.go.query_values import Query
from node.http.rpc import answers
from node.http.rpc.answers import argument, arguments
from node.http.rpc.name_text import NameText
from node.http.rpc.uploaded_file import uploaded_file
from node.names.signing import name_of

_RSA_BITS, _UNSAID = 2048, -1


async def gen(request: web.Request) -> web.StreamResponse:
    """A new key under the name `arg`: Ed25519, or RSA of `size` bits."""
    text, label = NameText.of(request.query), argument(request)
    key = await asyncio.to_thread(PrivateKey.generate, _bits(request.query))
    await asyncio.to_thread(_keys(request).add, label, key)
    return answers.one(_said(text, label, key))


async def import_(request: web.Request) -> web.StreamResponse:
    """The uploaded key under the name `arg`."""
    text, label, form = NameText.of(request.query), argument(request), _format(request)
    key = PrivateKey.decode(await uploaded_file(request, "key", MAX_BYTES), form)
    await asyncio.to_thread(_keys(request).add, label, key)
    return answers.one(_said(text, label, key))


async def list_(request: web.Request) -> web.StreamResponse:
    text = NameText.of(request.query)
    found = await asyncio.to_thread(_keys(request).every)
    return answers.one({"Keys": [_said(text, label, key) for label, key in found]})


async def rename(request: web.Request) -> web.StreamResponse:
    """The key `arg` gets the name of the second `arg`."""
    old, new = _several(request, 2)
    text, force = NameText.of(request.query), query_values.boolean(request.query, "force")
    replaced = await asyncio.to_thread(_keys(request).rename, old, new, force=force)
    key = await asyncio.to_thread(_keys(request).get, new)
    return answers.one({"Was": old, "Now": new, "Id": text(name_of(key)), "Overwrite": replaced})


async def remove(request: web.Request) -> web.StreamResponse:
    """All of `arg`, or none where one is not there."""
    text, labels = NameText.of(request.query), dict.fromkeys(arguments(request))
    if not labels:
        raise BadRequest('argument "name" is required')
    for label in labels:
        await asyncio.to_thread(_keys(request).get, label)
    removed: list[Json] = []
    for label in labels:
        removed.append(_said(text, label, await asyncio.to_thread(_keys(request).remove, label)))
    return answers.one({"Keys": removed})


def _keys(request: web.Request) -> Keystore:
    return request.app[PARTS].keys


def _bits(query: Query) -> int:
    """Of an RSA key; 0 for Ed25519, whose keys have one size. Kubo writes -1 for what is left out."""
    size = query_values.integer(query, "size", _UNSAID)
    match query.get("type") or "ed25519":
        case "ed25519" if size == _UNSAID:
            return 0
        case "ed25519":
            raise BadRequest("parameter size invalid: keys of type ed25519 have one size, so leave it out")
        case "rsa" if size == _UNSAID:
            return _RSA_BITS
        case "rsa" if size > 0:
            return size
        case "rsa":
            raise BadRequest("parameter size invalid: bits of an RSA key")
        case other:
            raise BadRequest(f"parameter type invalid: ed25519 or rsa, not {other[:32]}")


def _several(request: web.Request, count: int) -> Sequence[str]:
    found = arguments(request)
    if len(found) != count:
        raise BadRequest(f'expected {count} "arg", got {len(found)}')
    return found


def _format(request: web.Request) -> KeyFormat:
    try:
        return KeyFormat(request.query.get("format") or KeyFormat.PROTOBUF)
    except ValueError:
        raise BadRequest(f"parameter format invalid: one of {', '.join(KeyFormat)}") from None


def _said(text: NameText, label: str, key: PrivateKey) -> Json:
    return {"Name": label, "Id": text(name_of(key))}
