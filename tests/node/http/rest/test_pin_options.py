"""Pin options in a query string: ipfs-cluster's names, and a plain refusal for what does not parse."""

import pytest

from blockstore.cid import CID
from cluster.errors import BadPinValue
from cluster.pin import PinMode, PinOptions
from node.http.errors import BadRequest
from node.http.rest.pin_options import check_names, pin_options, pin_wish

PEER = "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p"
CID_TEXT = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def options(**query: str) -> PinOptions:
    return pin_options({key.replace("_", "-"): value for key, value in query.items()}, now=lambda: 1000.0)


def test_no_options_are_the_defaults() -> None:
    assert options() == PinOptions()


def test_every_option_is_read() -> None:
    found = options(
        name="n", mode="direct", replication_min="1", replication_max="2", user_allocations=f"{PEER}, {PEER}",
        expire_in="1h", meta_k="v", pin_update=CID_TEXT, origins=f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}",
    )  # fmt: skip
    assert found == PinOptions(
        name="n", mode=PinMode.DIRECT, replication_min=1, replication_max=2, user_allocations=(PEER, PEER),
        expire_at=4600.0, metadata={"k": "v"}, pin_update=CID.parse(CID_TEXT),
        origins=(f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}",),
    )  # fmt: skip


def test_replication_sets_both_factors_and_wins() -> None:
    found = options(replication="-1", replication_min="2", replication_max="3")
    assert (found.replication_min, found.replication_max) == (-1, -1)


def test_expire_at_wins_over_expire_in() -> None:
    assert options(expire_at="1970-01-01T01:00:00Z", expire_in="9h").expire_at == 3600


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 4600), ("1970-01-01T01:00:00.25Z", 3601), ("never", 0), ("", 0)]
)
def test_limits_are_read_and_a_deadline_may_be_a_duration(text: str, seconds: int) -> None:
    found = options(max_size="5000", deadline=text, attempts="3")
    assert found == PinOptions(max_size=5000, deadline=seconds, attempts=3)


def test_each_limit_is_named_by_its_parameter() -> None:
    wish = pin_wish({"keep": "true", "max-size": "0", "deadline": "never", "attempts": "0"})
    assert wish.named == frozenset({"max_size", "deadline", "attempts"})


def test_what_clients_always_send_is_taken() -> None:
    sent = options(
        name="", mode="recursive", replication_min="0", replication_max="0", shard_size="104857600",
        user_allocations="",
    )  # fmt: skip
    assert sent == PinOptions(shard_size=104857600)


def test_with_keep_only_what_the_query_has_is_named() -> None:
    query = {"keep": "true", "name": "", "expire-in": "never", "replication": "2", "meta-k": "v"}
    wish = pin_wish(query)
    assert wish.named == frozenset({"name", "expire_at", "replication_min", "replication_max"})
    assert (wish.options.expire_at, wish.shorten) == (None, False)
    assert pin_wish({}).named is None


def test_a_parameter_that_is_no_pin_option_is_named() -> None:
    check_names({"name": "n", "meta-k": "v", "no-pin": "true"}, ("no-pin",))
    with pytest.raises(BadRequest, match='"replicaton" is unknown'):
        check_names({"replicaton": "2"})


def test_a_peer_id_may_be_the_cid_of_its_key() -> None:
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
        ({"mode": "whatever"}, "parameter mode invalid"),
        ({"mode": "Direct"}, "parameter mode invalid"),
        ({"replication_min": "3", "replication_max": "2"}, "replication 3 to 2"),
        ({"replication_min": "-1", "replication_max": "2"}, "replication -1 to 2"),
        ({"replication": "1.0"}, "parameter replication invalid"),
        ({"shard_size": "-1"}, "parameter shard-size invalid"),
        ({"shard_size": "x"}, "parameter shard-size invalid"),
        ({"expire_in": "2562048h"}, "expire-in cannot be parsed"),
        ({"expire_in": "9" * 60 + "h"}, "expire-in cannot be parsed"),
        ({"expire_in": "1d"}, "expire-in cannot be parsed"),
        ({"expire_in": "-1h"}, "expire-in duration too short"),
        ({"expire_at": "1970-01-01T00:16:40Z"}, "expire-at is in the past"),
        ({"expire_at": "9999-12-31T23:59:59-23:59"}, "expire-at cannot be parsed"),
        ({"expire_at": "0001-01-01T00:00:00+23:59"}, "expire-at cannot be parsed"),
        ({"expire_at": "2999-02-30T00:00:00Z"}, "expire-at cannot be parsed"),
        ({"expire_at": "2999-01-01"}, "expire-at cannot be parsed"),
        ({"expire_at": "٢٩٩٩-01-01T00:00:00Z"}, "expire-at cannot be parsed"),
        ({"expire_at": "1971-01-01T00:00:00Z", "expire_in": "soon"}, "expire-in cannot be parsed"),
        ({"meta_": "v"}, "needs a key"),
        ({f"meta_{number}": "v" for number in range(65)}, "metadata is above"),
        ({"user_allocations": PEER + "x"}, "error decoding Peer ID"),
        ({"origins": f"/ip4/1.2.3.400/tcp/1/p2p/{PEER}"}, "error decoding multiaddress"),
        ({"origins": f"/nothing/1/p2p/{PEER}"}, "error decoding multiaddress"),
        ({"origins": "/ip4/127.0.0.1/tcp/1/p2p/nobody"}, "error decoding multiaddress"),
        ({"max_size": "-1"}, "parameter max-size invalid"),
        ({"max_size": "5GB"}, "parameter max-size invalid"),
        ({"max_size": str(1 << 53)}, "parameter max-size invalid"),
        ({"attempts": "-1"}, "parameter attempts invalid"),
        ({"attempts": "1000001"}, "parameter attempts invalid"),
        ({"deadline": "soon"}, "deadline cannot be parsed"),
        ({"deadline": "-1h"}, "deadline is in the past"),
        ({"deadline": "0"}, "deadline is in the past"),
        ({"deadline": "1970-01-01T00:16:40Z"}, "deadline is in the past"),
        ({"deadline": "2999-02-30T00:00:00Z"}, "deadline cannot be parsed"),
        ({"shorten": "true"}, "only with keep"),
        ({"keep": "perhaps"}, "parameter keep invalid"),
        ({"name": "n" * 256}, "pin name has 256 bytes"),
        ({"meta_k": "v" * 20_000}, "metadata is above"),
    ],
)
def test_bad_options_are_named(query: dict[str, str], text: str) -> None:
    with pytest.raises((BadRequest, BadPinValue), match=text):
        pin_wish({key.replace("_", "-"): value for key, value in query.items()}, now=lambda: 1000.0)
