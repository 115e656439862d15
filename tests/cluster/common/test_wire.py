"""Messages are bounded before they are read."""

from __future__ import annotations

import time

import pytest

from cluster.common import wire
from cluster.errors import BadUpdate


@pytest.mark.parametrize("value", [b"\x80", b"\xa0", b"\x00", b"\x81"])
def test_a_message_of_very_many_values_is_refused_before_they_are_made(value: bytes) -> None:
    """Four mebibytes of empty lists took the event loop seven seconds and 300 MiB."""
    count = 4 * 1024 * 1024 - 64
    data = b"\xa1\x67records\x9a" + count.to_bytes(4) + value * count
    began = time.process_time()
    with pytest.raises(BadUpdate, match="more than 65536 values"):
        wire.decode(data, 4 * 1024 * 1024)
    assert time.process_time() - began < 0.5


def test_a_long_message_of_as_many_values_as_honest_members_send_is_read() -> None:
    texts = [f"12D3KooW{number:044}" for number in range(4096)]
    heads = [[text, 1 << 62, number] for number, text in enumerate(texts)]
    message = {"members": texts, "at": texts, "connected": texts, "peers": texts, "logs": heads}
    assert wire.decode(wire.encode(message), 4 * 1024 * 1024) == message
