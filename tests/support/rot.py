"""A disk that rots: a bit of some bytes turns over, wherever a store keeps them."""

from __future__ import annotations

from pathlib import Path


def rot(folder: Path, held: bytes) -> None:
    """Every copy of these bytes, in every file below that folder. They must not lie across two pages."""
    count = 0
    for file in folder.rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        place = -1
        while (place := data.find(held, place + 1)) >= 0:
            with open(file, "r+b") as opened:
                opened.seek(place)
                opened.write(bytes([held[0] ^ 1]))
            count += 1
    assert count
