"""A line of JSON as a wish for a pin: the names of ipfs-cluster's pin object, and a refusal for the rest."""

import json

import pytest

from blockstore.cid import CID
from cluster.errors import BadPinValue
from cluster.pin import PinMode, PinOptions, Wish
from node.http.errors import BadRequest
from node.http.rest.bulk.line_splitter import MAX_LINE
from node.http.rest.bulk.pin_lines import PinLines

PEER = "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p"
CID_TEXT = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def wish(line: dict[str, object], **query: str) -> Wish:
    lines = PinLines({key.replace("_", "-"): value for key, value in query.items()}, now=lambda: 1000.0)
    ask = lines.parse(json.dumps({"cid": CID_TEXT, **line}).encode())
    assert ask.cid == CID.parse(CID_TEXT)
    return ask.wish


def test_a_cid_alone_is_a_line() -> None:
    assert wish({}) == Wish()


def test_every_field_is_read() -> None:
    found = wish(
        {
            "name": "n", "mode": "direct", "replication_factor_min": 1, "replication_factor_max": 2,
            "user_allocations": [PEER], "expire_at": "1970-01-01T01:00:00Z", "metadata": {"k": "v"},
            "pin_update": CID_TEXT, "origins": [f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}"], "shard_size": 7,
        }
    )  # fmt: skip
    assert found.options == PinOptions(
        name="n", mode=PinMode.DIRECT, replication_min=1, replication_max=2, user_allocations=(PEER,),
        expire_at=3600.0, metadata={"k": "v"}, pin_update=CID.parse(CID_TEXT),
        origins=(f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}",), shard_size=7,
    )  # fmt: skip
    assert wish({"expire_in": "1h"}).options.expire_at == 4600.0
    limits = wish({"max_size": 5000, "deadline": "1h", "attempts": 3}).options
    assert limits == PinOptions(max_size=5000, deadline=4600, attempts=3)


def test_what_ipfs_cluster_shows_of_a_pin_without_options_is_a_line() -> None:
    shown = {
        "replication_factor_min": 0, "replication_factor_max": 0, "name": "", "mode": "recursive",
        "shard_size": 0, "user_allocations": None, "expire_at": "0001-01-01T00:00:00Z", "metadata": None,
        "pin_update": None, "origins": [],
    }  # fmt: skip
    assert wish(shown) == Wish()


@pytest.mark.parametrize(
    "own", [{"name": "own"}, {"name": "own", "mode": "recursive"}], ids=["short", "general"]
)
def test_a_line_goes_before_the_options_of_the_query(own: dict[str, object]) -> None:
    given = {"name": "all", "meta_from": "query", "meta_k": "query", "expire_in": "1h", "replication": "2"}
    found = wish({**own, "metadata": {"k": "line"}}, **given).options
    assert (found.name, found.metadata) == ("own", {"from": "query", "k": "line"})
    assert (found.expire_at, found.replication_min, found.replication_max) == (4600.0, 2, 2)
    assert wish({"replication_factor_min": 1}, **given).options.replication_max == 2
    assert wish({"expire_at": "1970-01-02T00:00:00Z"}, **given).options.expire_at == 86400
    assert wish({"expire_at": "0001-01-01T00:00:00Z"}, **given).options.expire_at is None
    assert wish({}, **given).options.name == "all"


def test_with_keep_what_the_line_has_and_what_the_query_has_is_named() -> None:
    assert wish({}, keep="true").named == frozenset()
    assert wish({"name": "n"}, keep="true", expire_in="1h").named == frozenset({"name", "expire_at"})
    assert wish({"mode": "direct"}, keep="true", name="n").named == frozenset({"name", "mode"})
    assert wish({"expire_at": "0001-01-01T00:00:00Z"}, keep="true").named == frozenset({"expire_at"})
    assert wish({"name": "n"}, keep="true", shorten="true", expire_in="1h").shorten
    assert wish({"name": None, "mode": None}, keep="true").named == frozenset()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "no JSON"),
        (b"not json", "no JSON"),
        (b"[]", "no JSON object"),
        (b'"text"', "no JSON object"),
        (b'{"cid":"%s"' % CID_TEXT.encode(), "no JSON"),
        (b'{"cid":"%s"} {}' % CID_TEXT.encode(), "no JSON"),
        (b'{"cid":"%s","name":"\xff"}' % CID_TEXT.encode(), "not UTF-8"),
        (b'{"cid":"%s","name":"\\ud800"}' % CID_TEXT.encode(), "not UTF-8"),
        (b'{"cid":"%s","name":"a","name":"b"}' % CID_TEXT.encode(), '"name" is there twice'),
        (b'{"cid":"%s","replication_factor_min":NaN}' % CID_TEXT.encode(), "NaN"),
        (b'{"cid":' + b"[" * 100_000, "no JSON"),
        (b'{"cid":' + b"9" * 10_000 + b"}", "no JSON"),
        (b'{"name":"' + b"x" * MAX_LINE + b'"}', f"longer than {MAX_LINE}"),
        (b"{}", '"cid"'),
        (b'{"cid":5}', '"cid"'),
        (b'{"cid":"nonsense"}', "error decoding Cid"),
    ],
)
def test_a_line_that_is_none_says_why(line: bytes, says: str) -> None:
    with pytest.raises(BadRequest) as refused:
        PinLines({}).parse(line)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"colour": "red"}, '"colour" is unknown'),
        ({"type": "pin"}, '"type" is unknown'),
        ({"name": 5}, "name"),
        ({"name": "x" * 256}, "256 bytes"),
        ({"metadata": []}, "metadata"),
        ({"metadata": [1]}, "metadata"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"metadata": {"": "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 13_000}}, "metadata"),
        ({"mode": "sideways"}, "mode"),
        ({"mode": 1}, "mode"),
        ({"replication_factor_min": "2"}, "whole number"),
        ({"replication_factor_min": True}, "whole number"),
        ({"replication_factor_min": 1.5}, "whole number"),
        ({"replication_factor_min": 10**30}, "replication-min"),
        ({"replication_factor_min": 3, "replication_factor_max": 2}, "minimum <= maximum"),
        ({"user_allocations": "peer"}, "a list of texts"),
        ({"user_allocations": ["peer"]}, "Peer ID"),
        ({"user_allocations": [f"{PEER},{PEER}"]}, "a list of texts"),
        ({"origins": ["/ip4/1.2.3.4"]}, "does not contain peer ID"),
        ({"expire_at": "tomorrow"}, "expire-at"),
        ({"expire_at": "1970-01-01T00:00:00Z"}, "in the past"),
        ({"expire_in": "0.1s"}, "too short"),
        ({"expire_in": "1h", "expire_at": "2090-01-01T00:00:00Z"}, "the same thing"),
        ({"pin_update": "nonsense"}, "update"),
        ({"shard_size": -1}, "shard-size"),
    ],
)
def test_what_no_pin_can_have_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises((BadRequest, BadPinValue)) as refused:
        wish(fields)
    assert says in str(refused.value)


def test_a_query_that_is_wrong_is_wrong_before_the_first_line() -> None:
    with pytest.raises(BadRequest):
        PinLines({"mode": "sideways"})
