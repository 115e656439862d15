"""Codecs by name or number, as Kubo reads them (multiformats/multicodec, table.csv)."""

from __future__ import annotations

import re
from functools import cache

from blockstore.common import multiformats_tables
from blockstore.errors import UnknownCodec

_PRIVATE = range(0x300000, 0x400000)  # free for private use
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|0[bB][01]{1,64}|0[oO]?[0-7]{0,21}|[1-9][0-9]{0,18}")
# What the table has got since the release of multiformats that we use, by the number in hexadecimal.
_SINCE = """
    blake3-hashseq=80 crc64-nvme=165 http-path=1e1 x509-certificate=210
    transport-filecoin-piece-http=930 fr32-sha256-trunc254-padbintree=1011 vlad=1207 provenance-log=1208
    provenance-log-entry=1209 provenance-log-script=120a mlkem-512-pub=120b mlkem-768-pub=120c
    mlkem-1024-pub=120d multisig=1239 multikey=123a nonce=123b bls12_381-g1-pub-share=130c
    bls12_381-g2-pub-share=130d bls12_381-g1-priv-share=130e bls12_381-g2-priv-share=130f sm2-priv=1310
    ed448-priv=1311 x448-priv=1312 mlkem-512-priv=1313 mlkem-768-priv=1314 mlkem-1024-priv=1315
    jwk_jcs-priv=1316 lamport-sha3-512-pub=1a14 lamport-sha3-384-pub=1a15 lamport-sha3-256-pub=1a16
    lamport-sha3-512-priv=1a24 lamport-sha3-384-priv=1a25 lamport-sha3-256-priv=1a26
    lamport-sha3-512-priv-share=1a34 lamport-sha3-384-priv-share=1a35 lamport-sha3-256-priv-share=1a36
    lamport-sha3-512-sig=1a44 lamport-sha3-384-sig=1a45 lamport-sha3-256-sig=1a46
    lamport-sha3-512-sig-share=1a54 lamport-sha3-384-sig-share=1a55 lamport-sha3-256-sig-share=1a56
    chacha20-poly1305=a000 sha2-256-chunked=b510 bittorrent-pieces-root=b702 bcrypt-pbkdf=d00d
    bls12_381-g1-sig=d0ea bls12_381-g2-sig=d0eb ed2k=ed20 shelter-contract-manifest=511e00
    shelter-contract-text=511e01 shelter-contract-data=511e02 shelter-file-manifest=511e03
    shelter-file-chunk=511e04 es384=d01201 es256k-msig=d01300 bls12_381-g1-msig=d01301
    bls12_381-g2-msig=d01302 eddsa-msig=d01303 bls12_381-g1-share-msig=d01304
    bls12_381-g2-share-msig=d01305 lamport-msig=d01306 lamport-share-msig=d01307 es256-msig=d01308
    es384-msig=d01309 es521-msig=d0130a rs256-msig=d0130b
"""


def code_of(text: str) -> int:
    """A codec's number, by its name or in digits (decimal, 0x, 0b, 0o). Raises UnknownCodec."""
    names = _table()
    if _NUMBER.fullmatch(text):
        code = int(re.sub(r"^0([0-7])", r"0o\1", text), 0)
        if code in _PRIVATE or code in names.values():
            return code
    if text not in names:
        raise UnknownCodec(f'unknown multicodec: "{text[:64]}"')
    return names[text]


@cache
def _table() -> dict[str, int]:
    since = (entry.split("=") for entry in _SINCE.split())
    return {**multiformats_tables.codes(), **{name: int(code, 16) for name, code in since}}
