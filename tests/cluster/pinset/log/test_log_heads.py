"""Heads of logs and their running digest, which tells two members whether they have the same batches."""

from __future__ import annotations

from hashlib import sha256

import dag_cbor
from dag_cbor import IPLDKind
from hypothesis import given
from hypothesis import strategies as st

from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.log.log_heads import LogHeads

LOGS = st.builds(AuthorLog, st.sampled_from("abc"), st.integers(0, 3))
STEPS = st.lists(st.dictionaries(LOGS, st.integers(1, 9), max_size=4), max_size=8)


@given(STEPS)
def test_the_digest_depends_on_where_the_logs_are_and_not_on_the_way(
    steps: list[dict[AuthorLog, int]],
) -> None:
    stepwise, final = LogHeads({}), dict[AuthorLog, int]()
    for step in steps:
        stepwise.advance(step)
        final |= step
    at_once = LogHeads(dict(sorted(final.items(), key=str, reverse=True)))
    assert stepwise.digest() == at_once.digest()
    assert all(stepwise.of(log) == sequence for log, sequence in final.items())


@given(st.dictionaries(LOGS, st.integers(1, 9)), LOGS)
def test_one_batch_more_is_another_digest(heads: dict[AuthorLog, int], log: AuthorLog) -> None:
    known = LogHeads(heads)
    before = known.digest()
    known.advance({log: known.of(log) + 1})
    assert known.digest() != before


def test_the_digest_is_that_of_another_codec() -> None:
    """It is compared over the network: what makes it is dag-cbor and SHA-256, whatever the language."""
    heads = LogHeads({AuthorLog("author", 7): 3, AuthorLog("another", 1): 1})
    encoded: list[IPLDKind] = [["author", 7, 3], ["another", 1, 1]]
    hashes = (sha256(dag_cbor.encode(head)).digest() for head in encoded)
    assert heads.digest() == (sum(map(int.from_bytes, hashes)) % (1 << 256)).to_bytes(32)
    assert LogHeads({}).digest() == bytes(32)
