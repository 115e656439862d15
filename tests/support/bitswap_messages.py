"""Hypothesis strategies for Bitswap messages."""

from __future__ import annotations

from hypothesis import strategies as st

from bitswap.message import Message, Payload, Presence, WantlistEntry, WantType
from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR, DAG_PB, RAW

_INT32 = st.integers(-(2**31), 2**31 - 1)

cids: st.SearchStrategy[CID] = st.one_of(
    st.builds(
        lambda data, codec, name: Block.of(data, codec, hash_name=name).cid,
        st.binary(max_size=8),
        st.sampled_from((RAW, DAG_PB, DAG_CBOR, 0x0129)),
        st.sampled_from(("sha2-256", "sha2-512", "blake2b-256", "sha1")),
    ),
    st.binary(max_size=8).map(lambda data: Block.of(data, DAG_PB, version=0).cid),
)
entries = st.builds(WantlistEntry, cids, st.sampled_from(WantType), _INT32, st.booleans(), st.booleans())
payloads = st.builds(
    lambda data, codec: Payload.of(Block.of(data, codec)),
    st.binary(max_size=64),
    st.sampled_from((RAW, DAG_CBOR)),
)
messages = st.builds(
    Message,
    st.lists(entries, max_size=5).map(tuple),
    st.booleans(),
    st.lists(payloads, max_size=5).map(tuple),
    st.lists(st.builds(Presence, cids, st.booleans()), max_size=5).map(tuple),
    st.integers(0, 2**31 - 1),
)
