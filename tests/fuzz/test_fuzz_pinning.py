"""Invariant: any body and any query is a pin or a list that can be asked for, or raises BadRequest."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from node.http.errors import BadRequest
from node.http.pinning.bodies import MAX_NAME, wanted_pin
from node.http.pinning.listing import request_query

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
VALUES = st.one_of(st.text(max_size=30), st.sampled_from(["1", "pinned", '{"a":"b"}', "exact"]))
CIDS = st.sampled_from(["bafkqaaa", "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", "x"])
NAMES = st.sampled_from(["cid", "name", "match", "status", "before", "after", "limit", "meta", "x"])


@given(st.one_of(st.binary(max_size=80), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_bytes(body: bytes) -> None:
    with suppress(BadRequest):
        wanted_pin(body)


@given(st.fixed_dictionaries({"cid": CIDS}, optional=dict.fromkeys(("name", "origins", "meta", "x"), JSON)))
def test_any_fields(fields: dict[str, object]) -> None:
    with suppress(BadRequest):
        wanted = wanted_pin(json.dumps(fields).encode())
        assert len(wanted.name) <= MAX_NAME
        assert all(text.encode().decode() == text for text in (wanted.name, *wanted.meta.values()))
        assert all("/p2p/" in origin for origin in wanted.origins)


@given(st.dictionaries(NAMES, VALUES))
def test_any_query(query: dict[str, str]) -> None:
    with suppress(BadRequest):
        found = request_query(query, "alice")
        assert 1 <= found.limit <= 1000
        assert found.statuses
