"""Lines of ipfs-cluster's state export: what they say is kept, and what cannot be kept is refused by name."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.cid import CID
from cluster.common.pin_codec import encode_pin
from cluster.errors import BadPinValue, BadUpdate
from cluster.pin import GrantAsk, Pin, PinMode, PinOptions
from node.http.errors import BadRequest
from node.http.go.durations import parse_time
from node.http.rest.state.pin_text import exact_time, state_lines
from node.http.rest.state.state_lines import OtherFormat, StateLines

PEER = "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p"
OTHER = "12D3KooWPv6NjkBzJyJAUmvLtTtNCsR3dJRE4tRjgjZq3VnqvJXP"
CID_TEXT = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
PLAIN: dict[str, object] = {
    "replication_factor_min": -1, "replication_factor_max": -1, "name": "n", "mode": "recursive",
    "shard_size": 0, "user_allocations": None, "expire_at": "0001-01-01T00:00:00Z", "metadata": {"k": "v"},
    "pin_update": None, "origins": [], "cid": CID_TEXT, "type": "pin", "allocations": [], "max_depth": -1,
    "reference": None, "timestamp": "2021-01-01T00:00:00Z",
}  # fmt: skip


def ask(low: int = 0, high: int = 0, **fields: object) -> GrantAsk:
    lines = StateLines({PEER}, low, high, now=lambda: 1000.0)
    return lines.parse(json.dumps({**PLAIN, **fields}).encode())


def test_a_plain_pin_is_taken_as_it_is() -> None:
    found = ask()
    assert (found.cid, found.created) == (CID.parse(CID_TEXT), 1609459200.0)
    assert found.wish.named is None
    assert found.wish.options == PinOptions(
        "n", replication_min=-1, replication_max=-1, metadata=MappingProxyType({"k": "v"})
    )


def test_what_is_rare_is_taken_too() -> None:
    found = ask(
        replication_factor_min=1, replication_factor_max=3, mode="direct", max_depth=0,
        user_allocations=[PEER], expire_at="2090-01-01T00:00:00Z", pin_update=CID_TEXT, shard_size=5,
        origins=[f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}"], allocations=[OTHER, PEER],
    )  # fmt: skip
    options = found.wish.options
    assert (options.replication_min, options.replication_max, options.mode) == (1, 3, PinMode.DIRECT)
    assert (options.user_allocations, options.expire_at) == ((PEER,), 3786912000.0)
    assert (options.pin_update, len(options.origins)) == (CID.parse(CID_TEXT), 1)
    assert found.priority_peers == (PEER,), "a peer of another cluster cannot hold it"


def test_factors_may_be_given_for_all_lines() -> None:
    options = ask(1, 2).wish.options
    assert (options.replication_min, options.replication_max) == (1, 2)


def test_a_pin_without_a_time_is_made_now() -> None:
    assert ask(timestamp="0001-01-01T00:00:00Z").created == 1000.0
    assert ask(timestamp=None).created == 1000.0


def test_only_cid_and_name_are_enough() -> None:
    found = StateLines(()).parse(json.dumps({"cid": CID_TEXT, "name": "n"}).encode())
    assert found.wish.options == PinOptions("n")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"type": "meta-pin", "reference": CID_TEXT}, "shards are not kept here"),
        ({"type": "clusterdag-pin"}, "shards are not kept here"),
        ({"type": "shard-pin", "max_depth": 1}, "shards are not kept here"),
        ({"type": "bad-type"}, "bad-type"),
        ({"reference": CID_TEXT}, "reference"),
        ({"max_depth": 2}, "max_depth"),
        ({"max_depth": "all"}, "max_depth"),
        ({"max_depth": 0}, "contradicts"),
        ({"mode": "direct"}, "contradicts"),
        ({"mode": 1}, "contradicts"),
        ({"allocations": "x"}, "allocations"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": 5}, "timestamp"),
        ({"expire_at": "2020-01-01T00:00:00Z", "timestamp": "2019-01-01T00:00:00Z"}, ""),
        ({"replication_factor_min": 3, "replication_factor_max": 2}, "minimum <= maximum"),
        ({"replication_factor_min": "3"}, "whole number"),
        ({"name": 3}, "name"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"name": "x" * 300}, "255"),
        ({"colour": "red"}, '"colour" is unknown'),
    ],
)
def test_what_cannot_be_kept_is_refused(fields: dict[str, object], says: str) -> None:
    lines = StateLines(())  # its clock is the real one: what has ended is not pinned again
    with pytest.raises((BadRequest, BadPinValue)) as refused:
        lines.parse(json.dumps({**PLAIN, **fields}).encode())
    assert says in str(refused.value)
    assert not isinstance(refused.value, OtherFormat)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\x1f\x8b\x08\x00binary", "no state export"),
        (b'{"pins":[]}', 'no "cid"'),
        (b'{"cid":{"/":"' + CID_TEXT.encode() + b'"},"type":2}', "before 1.0"),
        (b'{"cid":"' + CID_TEXT.encode() + b'","type":2}', "before 1.0"),
        (CID_TEXT.encode(), "no state export"),
    ],
)
def test_a_file_of_another_format_is_refused_by_its_first_line(line: bytes, says: str) -> None:
    with pytest.raises(OtherFormat) as refused:
        StateLines(()).parse(line)
    assert says in str(refused.value)
    lines = StateLines(())
    lines.parse(json.dumps(PLAIN).encode())
    with pytest.raises(BadRequest) as later:
        lines.parse(line)
    assert not isinstance(later.value, OtherFormat)


@given(st.floats(0, 4e9))
def test_a_time_is_read_again_as_it_was(seconds: float) -> None:
    assert parse_time(exact_time(seconds)) == pytest.approx(seconds, abs=1e-9)
    if seconds > 1e9:
        assert parse_time(exact_time(seconds)) == seconds


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    name=texts, metadata=st.dictionaries(texts.filter(bool), texts, max_size=3),
    direct=st.booleans(), factors=st.sampled_from([(-1, -1), (1, 1), (2, 5)]),
    allocations=st.lists(st.sampled_from([PEER, OTHER]), unique=True),
    wished=st.lists(st.sampled_from([PEER, OTHER]), unique=True),
    expire=st.none() | st.floats(4e9, 5e9), created=st.floats(1e9, 2e9),
)  # fmt: skip
def test_what_is_exported_is_imported_as_it_was(
    name: str, metadata: dict[str, str], direct: bool, factors: tuple[int, int], allocations: list[str],
    wished: list[str], expire: float | None, created: float,
) -> None:  # fmt: skip
    options = PinOptions(
        name, PinMode.DIRECT if direct else PinMode.RECURSIVE, *factors, tuple(wished), expire,
        MappingProxyType(metadata), None, (f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}",) if wished else (),
    )  # fmt: skip
    pin = Pin(CID.parse(CID_TEXT), options, tuple(allocations), created)
    odd: list[BadUpdate] = []
    (line,) = state_lines([(bytes(pin.cid), encode_pin(pin).stamped(7))], odd)
    assert odd == []
    assert list(json.loads(line)) == list(PLAIN)
    found = StateLines({PEER, OTHER}).parse(line)
    assert (found.cid, found.wish.options, found.created) == (pin.cid, options, int(created))
    assert found.priority_peers == pin.allocations


def test_limits_move_with_a_pin_and_a_deadline_only_until_it_has_passed() -> None:
    options = PinOptions(
        replication_min=1, replication_max=1, max_size=5000, deadline=4_000_000_000, attempts=3
    )
    pin = Pin(CID.parse(CID_TEXT), options, (PEER,), 1e9)
    (line,) = state_lines([(bytes(pin.cid), encode_pin(pin).stamped(7))], [])
    assert list(json.loads(line)) == [*PLAIN, "max_size", "deadline", "attempts"]
    assert StateLines({PEER}).parse(line).wish.options == options
    later = StateLines({PEER}, now=lambda: 4_000_000_001.0)
    assert later.parse(line).wish.options == options._replace(deadline=0)
