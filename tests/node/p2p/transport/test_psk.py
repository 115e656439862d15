from __future__ import annotations

import os

import pytest
import trio
from support.p2p_pipes import pipe_pair

from node.p2p.transport.psk import PskByteStream, key_file, xsalsa20


def test_xsalsa20_is_the_one_of_its_paper() -> None:
    # Bernstein, "Extending the Salsa20 nonce"; the vector is NaCl's tests/stream3, its first 32 bytes.
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    stream = bytes.fromhex("eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880")
    assert xsalsa20(key, nonce).encrypt(bytes(32)) == stream


@pytest.mark.parametrize("most", [1, 5, 24, 1000])
def test_what_one_side_writes_the_other_reads_however_it_is_cut(most: int) -> None:
    sent = os.urandom(500)

    async def run() -> None:
        below_a, below_b = pipe_pair(most)
        a, b = PskByteStream(below_a, b"k" * 32), PskByteStream(below_b, b"k" * 32)
        for piece in (sent[:1], sent[1:33], sent[33:]):
            await a.write(piece)
        got = b""
        while len(got) < len(sent):
            got += await b.read(64)
        assert got == sent

    trio.run(run)


def test_another_key_reads_noise() -> None:
    async def run() -> bytes:
        below_a, below_b = pipe_pair()
        await PskByteStream(below_a, b"k" * 32).write(bytes(64))
        return await PskByteStream(below_b, b"w" * 32).read()

    assert trio.run(run) != bytes(64)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        PskByteStream(pipe_pair()[0], b"k" * 31)


def test_the_key_file_is_kubo_s() -> None:
    assert key_file(b"\xab" * 32) == "/key/swarm/psk/1.0.0/\n/base16/\n" + "ab" * 32 + "\n"
