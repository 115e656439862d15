"""The private network: every byte of a connection through XSalsa20 with the members' shared key.

`/key/swarm/psk/1.0.0/` of libp2p's specification (pnet/Private-Networks-PSK-V1): each side sends a
random nonce of 24 bytes and encrypts what it writes from then on. py-libp2p 0.8.1 uses Salsa20 with 8
bytes instead, and connects to no other implementation.
"""

from __future__ import annotations

import os
import struct

from Crypto.Cipher import Salsa20

from node.p2p.transport.byte_stream import ByteStream, read_exactly

KEY_SIZE, NONCE_SIZE = 32, 24
_HEADER = "/key/swarm/psk/1.0.0/\n/base16/\n"
_WORDS = struct.Struct("<8I")
_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
_COLUMNS = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11))
_ROWS = ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))


def key_file(key: bytes) -> str:
    """The key as Kubo's `swarm.key` file."""
    return f"{_HEADER}{key.hex()}\n"


class PskByteStream:
    """A pipe over a pipe; what is read and written above is plain."""

    def __init__(self, below: ByteStream, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a private network's key has {KEY_SIZE} bytes, not {len(key)}")
        self._below, self._key = below, key
        self._nonce = os.urandom(NONCE_SIZE)
        self._encrypt = xsalsa20(key, self._nonce)
        self._decrypt: Salsa20.Salsa20Cipher | None = None

    async def read(self, n: int | None = None) -> bytes:
        if self._decrypt is None:
            self._decrypt = xsalsa20(self._key, await read_exactly(self._below, NONCE_SIZE))
        return self._decrypt.decrypt(await self._below.read(n))

    async def write(self, data: bytes) -> None:
        nonce, self._nonce = self._nonce, b""
        encrypted = self._encrypt.encrypt(data)
        await self._below.write(nonce + encrypted if nonce else encrypted)

    async def close(self) -> None:
        await self._below.close()


def xsalsa20(key: bytes, nonce: bytes) -> Salsa20.Salsa20Cipher:
    return Salsa20.new(key=_hsalsa20(key, nonce[:16]), nonce=nonce[16:])


def _hsalsa20(key: bytes, nonce: bytes) -> bytes:
    """XSalsa20's subkey (Bernstein, "Extending the Salsa20 nonce"); once a connection, so plain Python."""
    k, n, c = _WORDS.unpack(key), struct.unpack("<4I", nonce), _CONSTANTS
    state = [c[0], *k[:4], c[1], *n, c[2], *k[4:], c[3]]
    for _ in range(10):
        for a, b, d, e in _COLUMNS + _ROWS:
            state[b] ^= _rotated(state[a] + state[e], 7)
            state[d] ^= _rotated(state[b] + state[a], 9)
            state[e] ^= _rotated(state[d] + state[b], 13)
            state[a] ^= _rotated(state[e] + state[d], 18)
    return _WORDS.pack(*(state[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))


def _rotated(value: int, by: int) -> int:
    value &= 0xFFFFFFFF
    return (value << by | value >> (32 - by)) & 0xFFFFFFFF
