"""All tokens of this node: in memory to be looked up, and in a small file that is written whole."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from blockstore.common.text_file import read_text
from blockstore.disk.free_space import is_full
from blockstore.errors import StorageFull
from node.access.errors import BadToken, BadTokenFile, TokenExists, UnknownToken
from node.access.rights import TokenScope
from node.access.token import Token, digest_of, new_text
from node.files.atomic_write import atomic_write

MAX_TOKENS = 10_000
_VERSION = 1


class Tokens:
    """Changes are on the disk before they count, and count from the next request on."""

    def __init__(self, path: Path, tokens: Mapping[str, Token], now: Callable[[], float] = time.time) -> None:
        """By name. `read_tokens` reads them."""
        self._path = path
        self._by_name = dict(tokens)
        self._by_digest = {token.digest: token for token in tokens.values()}
        self._now = now
        self._lock = asyncio.Lock()

    def find(self, text: str) -> Token | None:
        """The token whose text this is. What is compared is a hash, so time tells nothing of it."""
        return self._by_digest.get(digest_of(text))

    def named(self, name: str) -> Token | None:
        return self._by_name.get(name)

    def all(self) -> list[Token]:
        """In order of their names."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    async def create(self, name: str, scope: TokenScope, owner: str = "") -> tuple[Token, str]:
        """The token and its text, once it is durable. Raises BadToken, TokenExists, StorageFull."""
        text = new_text()
        token = Token(name, scope, owner, self._now(), digest_of(text))
        token.check()
        async with self._lock:
            if name in self._by_name:
                raise TokenExists(name)
            if len(self._by_name) >= MAX_TOKENS:
                raise BadToken(f"there are {MAX_TOKENS} tokens, and no more are kept: revoke some")
            await self._keep({**self._by_name, name: token})
        return token, text

    async def revoke(self, name: str) -> Token:
        """It is good for nothing from now on. Raises UnknownToken, StorageFull."""
        async with self._lock:
            token = self._by_name.get(name)
            if token is None:
                raise UnknownToken(name[:64])
            await self._keep({other: kept for other, kept in self._by_name.items() if other != name})
        return token

    async def _keep(self, tokens: Mapping[str, Token]) -> None:
        await asyncio.to_thread(_write, self._path, tokens)
        self._by_name = dict(tokens)
        self._by_digest = {token.digest: token for token in tokens.values()}


def read_tokens(path: Path) -> Tokens:
    """Those in the file; none where there is no file. Raises BadTokenFile."""
    try:
        fields = json.loads(read_text(path))
        if fields["version"] != _VERSION:
            raise BadTokenFile(f"{path} is of a later release: start that one")
        tokens = [_token(entry) for entry in fields["tokens"]]
    except FileNotFoundError:
        tokens = []
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BadToken) as error:
        raise BadTokenFile(
            f"{path} cannot be read ({error}): restore it from a backup, or remove it and make new tokens"
        ) from None
    return Tokens(path, {token.name: token for token in tokens})


def _token(entry: Mapping[str, str]) -> Token:
    created, digest = float(entry["created"]), bytes.fromhex(entry["sha256"])
    if len(digest) != sha256().digest_size or not math.isfinite(created):
        raise BadToken("a token in it has no hash, or was made at no time")
    token = Token(str(entry["name"]), TokenScope(entry["scope"]), str(entry["owner"]), created, digest)
    token.check()
    return token


def _write(path: Path, tokens: Mapping[str, Token]) -> None:
    entries = [
        {
            "name": token.name,
            "scope": token.scope.value,
            "owner": token.owner,
            "created": token.created,
            "sha256": token.digest.hex(),
        }
        for token in tokens.values()
    ]
    text = json.dumps({"version": _VERSION, "tokens": entries}, indent=1) + "\n"
    try:
        atomic_write(path, text.encode())
    except OSError as error:
        if not is_full(error):
            raise
        raise StorageFull(f"cannot write {path}: {error.strerror}; free some space") from error
