"""Multihash functions by code and by name (multiformats table; the set Kubo accepts for `--hash`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from blockstore.common import multiformats_tables, varint
from blockstore.errors import BadCid, UnknownHash

_Digest = Callable[[bytes], bytes]

MIN_DIGEST_BYTES = 20  # one that is cut shorter proves nothing
MAX_DIGEST_BYTES = 128


def _blake3(data: bytes, size: int = 32) -> bytes:
    import blake3  # rare, and 2 MB of extension module

    return bytes(blake3.blake3(data).digest(size))


def _blake2b(size: int) -> _Digest:
    return lambda data: hashlib.blake2b(data, digest_size=size).digest()


def _blake2s(size: int) -> _Digest:
    return lambda data: hashlib.blake2s(data, digest_size=size).digest()


def _keccak(bits: int) -> _Digest:
    """What became SHA-3, with the padding of before: Ethereum's hash."""

    def digest(data: bytes) -> bytes:
        from Crypto.Hash import keccak  # rare, and an extension module

        return bytes(keccak.new(digest_bits=bits, data=data).digest())

    return digest


def _identity(data: bytes) -> bytes:
    return data


class UnknownHashCode(UnknownHash):
    """Its name in the table is looked up when the error is printed: most are only caught."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        name = multiformats_tables.hash_name(self.code)
        return f"hash function {name} is unknown, so the block cannot be verified"


FUNCTIONS: dict[str, tuple[int, _Digest]] = {
    "identity": (0x00, _identity),
    "sha1": (0x11, lambda data: hashlib.sha1(data, usedforsecurity=False).digest()),
    "sha2-256": (0x12, lambda data: hashlib.sha256(data).digest()),
    "sha2-512": (0x13, lambda data: hashlib.sha512(data).digest()),
    "sha3-512": (0x14, lambda data: hashlib.sha3_512(data).digest()),
    "sha3-384": (0x15, lambda data: hashlib.sha3_384(data).digest()),
    "sha3-256": (0x16, lambda data: hashlib.sha3_256(data).digest()),
    "sha3-224": (0x17, lambda data: hashlib.sha3_224(data).digest()),
    "keccak-256": (0x1B, _keccak(256)),
    "keccak-512": (0x1D, _keccak(512)),
    "shake-256": (0x19, lambda data: hashlib.shake_256(data).digest(64)),
    "blake3": (0x1E, _blake3),
    "dbl-sha2-256": (0x56, lambda data: hashlib.sha256(hashlib.sha256(data).digest()).digest()),
    **{f"blake2b-{8 * size}": (0xB200 + size, _blake2b(size)) for size in range(20, 65)},
    **{f"blake2s-{8 * size}": (0xB240 + size, _blake2s(size)) for size in range(20, 33)},
}
_BY_CODE = dict(FUNCTIONS.values())


def multihash(data: bytes, name: str = "sha2-256", size: int | None = None) -> bytes:
    """Hash bytes; the binary multihash, its digest cut to `size` bytes. Raises UnknownHash.

    A size that the function does not have, or that proves nothing (below 20), raises BadCid.
    """
    try:
        code, function = FUNCTIONS[name]
    except KeyError:
        raise UnknownHash(f'hash function "{name}" is unknown') from None
    if code == 0x12 and size is None:
        return b"\x12\x20" + hashlib.sha256(data).digest()
    digest = function(data) if size is None else _cut(data, name, function, size)
    return varint.encode(code) + varint.encode(len(digest)) + digest


def _cut(data: bytes, name: str, function: _Digest, size: int) -> bytes:
    digest = _sized(function, data, size)
    exact = function is _identity
    if len(digest) < size or (exact and len(digest) != size) or (not exact and size < MIN_DIGEST_BYTES):
        raise BadCid(f"a digest of {size} bytes cannot be had of {name}")
    return digest[:size]


def _sized(function: _Digest, data: bytes, size: int) -> bytes:
    """Its digest; blake3 gives as many bytes as are asked for."""
    return _blake3(data, size) if function is _blake3 and 32 < size <= MAX_DIGEST_BYTES else function(data)


def is_known(multihash: bytes) -> bool:
    """Whether bytes could be verified against it."""
    try:
        check_known(multihash)
    except (UnknownHash, BadCid):
        return False
    return True


def check_known(multihash: bytes) -> None:
    """Raises UnknownHash where bytes could not be verified against it, BadCid where it is no multihash."""
    if multihash[:2] != b"\x12\x20":
        _function(multihash)


def matches(expected: bytes, data: bytes) -> bool:
    """Whether bytes hash to that multihash; digests cut below 20 bytes never match. Raises UnknownHash."""
    if expected[:2] == b"\x12\x20":
        return hashlib.sha256(data).digest() == expected[2:]
    code, function, position = _function(expected)
    try:
        length, position = varint.decode(expected, position)
    except ValueError as error:
        raise BadCid(f"invalid multihash: {error}") from None
    digest = _sized(function, data, length)
    if code == 0:
        return digest == expected[position:]
    return MIN_DIGEST_BYTES <= length <= len(digest) and digest[:length] == expected[position:]


def _function(multihash: bytes) -> tuple[int, _Digest, int]:
    """Its code, the function, and the position behind the code."""
    try:
        code, position = varint.decode(multihash)
    except ValueError as error:
        raise BadCid(f"invalid multihash: {error}") from None
    function = _BY_CODE.get(code)
    if function is None:
        raise UnknownHashCode(code)
    return code, function, position
