"""Invariant: any bytes are CIDs that encode to themselves, or blocks within bounds, or raise BadBulk."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from blockstore.block import MAX_BLOCK_BYTES, Block
from node.bulk.certificates import BadCertificate, peer_of
from node.bulk.wire import AnswerDecoder, BadBulk, decode_wants, encode_blocks, encode_wants

CIDS = [Block.of(b"%d" % number, version=number % 2, codec=0x70).cid for number in range(4)]
GOOD = encode_wants(CIDS)


@given(st.data())
def test_any_request(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD)))
    request = GOOD[:place] + data.draw(st.binary(max_size=80)) + GOOD[place:]
    with suppress(BadBulk):
        assert encode_wants(decode_wants(request)) == request


@given(st.lists(st.one_of(st.none(), st.binary(max_size=20), st.just(b"x" * 66_000)), max_size=4), st.data())
def test_an_answer_is_the_same_however_it_is_cut(blocks: list[bytes | None], data: st.DataObject) -> None:
    answer = b"".join(encode_blocks([Block.of(one) if one is not None else None for one in blocks]))
    decoder, found = AnswerDecoder(len(blocks)), list[bytes | None]()
    cuts = {0, len(answer), *data.draw(st.lists(st.integers(0, len(answer)), max_size=30))}
    for start, stop in pairwise(sorted(cuts)):
        assert not decoder.complete
        found += decoder.feed(answer[start:stop])
    assert (found, decoder.complete) == (blocks, True)


@given(st.integers(0, 5), st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_any_answer(wanted: int, pieces: list[bytes]) -> None:
    decoder = AnswerDecoder(wanted)
    found: list[bytes | None] = []
    with suppress(BadBulk):
        for piece in pieces:
            found += decoder.feed(piece)
    assert len(found) <= wanted
    assert all(len(one) <= MAX_BLOCK_BYTES for one in found if one is not None)
    assert sum(len(one) + 4 for one in found if one is not None) <= sum(map(len, pieces))


@given(st.binary(max_size=300))
def test_any_certificate(data: bytes) -> None:
    with suppress(BadCertificate):
        assert peer_of(data)
