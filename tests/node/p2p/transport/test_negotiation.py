from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.p2p_pipes import MemoryBytes, Recorder, pipe_pair

from blockstore.common import varint
from node.p2p.errors import NetworkError, ProtocolViolation
from node.p2p.transport import negotiation

HEADER = b"\x13/multistream/1.0.0\n"


def _agreed(asked: list[str], spoken: list[str], most: int = 1 << 20) -> tuple[str, str]:
    """What each side believes; the text of its error when it has none."""
    found: dict[str, str] = {}

    async def side(name: str, agree: Callable[[], Awaitable[str]], pipe: MemoryBytes) -> None:
        try:
            found[name] = await agree()
        except NetworkError as error:
            found[name] = str(error)
            await pipe.close()

    async def run() -> None:
        one, other = pipe_pair(most)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side, "asks", partial(negotiation.ask, one, asked), one)
            nursery.start_soon(side, "answers", partial(negotiation.answer, other, spoken), other)

    trio.run(run)
    return found["asks"], found["answers"]


@pytest.mark.parametrize("most", [1, 3, 1 << 20])
def test_both_sides_agree_on_the_first_protocol_both_speak(most: int) -> None:
    assert _agreed(["/a/2", "/a/1", "/b"], ["/b", "/a/1"], most) == ("/a/1", "/a/1")


def test_no_common_protocol_is_said_so() -> None:
    asks, answers = _agreed(["/a", "/b"], ["/c"])
    assert asks == "the peer speaks none of /a, /b"
    assert "ended" in answers


@pytest.mark.parametrize(
    "lines",
    [
        b"\x13/multistream/2.0.0\n",
        HEADER + varint.encode(1025) + b"x" * 1025,
        HEADER + b"\x03\xff\xfe\n",
        HEADER + b"\xff" * 10,
        HEADER + b"\x04/no\n" * 40,
        HEADER[:7],
        b"",
    ],
)
def test_what_is_no_negotiation_is_one_kind_of_error(lines: bytes) -> None:
    with pytest.raises(NetworkError):
        trio.run(negotiation.answer, Recorder(lines), ["/yes"])
    with pytest.raises(NetworkError):
        trio.run(negotiation.ask, Recorder(lines), ["/yes"])


def test_a_peer_that_answers_with_another_protocol_is_not_followed() -> None:
    with pytest.raises(ProtocolViolation, match="answered"):
        trio.run(negotiation.ask, Recorder(HEADER + b"\x06/else\n"), ["/yes"])


@settings(max_examples=50)
@given(st.binary(max_size=100))
def test_any_bytes_agree_or_raise_the_one_error(data: bytes) -> None:
    try:
        assert trio.run(negotiation.answer, Recorder(HEADER + data), ["/x"]) == "/x"
    except NetworkError:
        return


@given(st.integers(0, 2**62))
def test_a_length_is_read_or_refused(length: int) -> None:
    pipe = Recorder(varint.encode(length))
    if length <= 1_000_000:
        assert trio.run(negotiation.read_length, pipe, 1_000_000) == length
    else:
        with pytest.raises(ProtocolViolation, match=str(length)):
            trio.run(negotiation.read_length, pipe, 1_000_000)
