"""The signed envelope: what is signed for one purpose in one cluster is valid nowhere else."""

from __future__ import annotations

import pytest
from support.pinset_member import identity

from cluster.common.envelope import open_sealed, seal
from cluster.errors import BadUpdate

AUTHOR, OTHER = identity(1), identity(2)
DOMAIN, CLUSTER = b"pinfold test 1\0", bytes(32)


def test_what_a_peer_sealed_is_opened_and_verified() -> None:
    sealed = open_sealed(seal(b"said", DOMAIN, CLUSTER, AUTHOR), 1000)
    assert sealed.payload == b"said"
    sealed.verify(AUTHOR.peer_id, DOMAIN, CLUSTER, OTHER)


@pytest.mark.parametrize(
    ("author", "domain", "cluster"),
    [
        (OTHER.peer_id, DOMAIN, CLUSTER),
        (AUTHOR.peer_id, b"pinfold other 1\0", CLUSTER),
        (AUTHOR.peer_id, DOMAIN, bytes(31) + b"\1"),
    ],
    ids=["another author", "another purpose", "another cluster"],
)
def test_a_signature_covers_author_purpose_and_cluster(author: str, domain: bytes, cluster: bytes) -> None:
    sealed = open_sealed(seal(b"said", DOMAIN, CLUSTER, AUTHOR), 1000)
    assert not sealed.is_by(author, domain, cluster, OTHER)
    with pytest.raises(BadUpdate, match="was not signed by"):
        sealed.verify(author, domain, cluster, OTHER)


@pytest.mark.parametrize(
    "envelope", [b"", b"\x80", b"\xa0", b"\xa1\x61p\x40", seal(bytes(990), DOMAIN, CLUSTER, AUTHOR)]
)
def test_what_is_no_envelope_or_too_long_is_refused(envelope: bytes) -> None:
    with pytest.raises(BadUpdate):
        open_sealed(envelope, 1000)
