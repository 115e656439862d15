"""Pin options in a query string: ipfs-cluster's names, and a plain refusal for what does not parse."""

import pytest

from blockstore.cid import CID
from cluster.pin import PinMode, PinOptions
from node.http.errors import BadRequest
from node.http.pin_options import pin_options

PEER = "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p"
CID_TEXT = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def options(**query):
    return pin_options({key.replace("_", "-"): value for key, value in query.items()}, now=lambda: 1000.0)


def test_no_options_are_the_defaults():
    assert options() == PinOptions()


def test_every_option_is_read():
    found = options(
        name="n", mode="direct", replication_min="1", replication_max="2", user_allocations=f"{PEER}, {PEER}",
        expire_in="1h", meta_k="v", pin_update=CID_TEXT, origins=f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}",
    )  # fmt: skip
    assert found == PinOptions(
        name="n", mode=PinMode.DIRECT, replication_min=1, replication_max=2, user_allocations=(PEER, PEER),
        expire_at=4600.0, metadata={"k": "v"}, pin_update=CID.parse(CID_TEXT),
        origins=(f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}",),
    )  # fmt: skip


def test_replication_sets_both_factors_and_wins():
    found = options(replication="-1", replication_min="2", replication_max="3")
    assert (found.replication_min, found.replication_max) == (-1, -1)


def test_expire_at_wins_over_expire_in():
    assert options(expire_at="1970-01-01T01:00:00Z", expire_in="9h").expire_at == 3600


def test_an_unknown_mode_is_recursive_as_upstream():
    assert options(mode="whatever").mode is PinMode.RECURSIVE


def test_a_peer_id_may_be_the_cid_of_its_key():
    from libipld import decode_multibase, encode_multibase

    key = CID.v1(0x72, decode_multibase("z" + PEER)[1])
    assert options(user_allocations=encode_multibase("k", bytes(key))).user_allocations == (PEER,)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"replication_min": "x"}, "parameter replication-min invalid"),
        ({"replication": "-2"}, "parameter replication invalid"),
        ({"replication": "٣"}, "parameter replication invalid"),
        ({"expire_in": "10ms"}, "expire-in duration too short"),
        ({"expire_in": "soon"}, "expire-in cannot be parsed"),
        ({"expire_at": "soon"}, "expire-at cannot be parsed"),
        ({"pin_update": "nope"}, "error decoding update option parameter"),
        ({"user_allocations": "nope"}, "error decoding Peer ID"),
        ({"user_allocations": CID_TEXT}, "error decoding Peer ID"),
        ({"origins": "nope"}, "error decoding multiaddress"),
        ({"origins": "/ip4/127.0.0.1/tcp/1"}, "multiaddress does not contain peer ID"),
        ({"name": "n" * 256}, "name is longer"),
        ({"meta_k": "v" * 20_000}, "metadata is above"),
    ],
)
def test_bad_options_are_named(query, text):
    with pytest.raises(BadRequest, match=text):
        options(**query)
