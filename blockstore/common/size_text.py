"""Sizes for people."""

from __future__ import annotations


def size_text(size: int) -> str:
    """Bytes for people: "1.5 GiB"."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    step = min(max(0, size.bit_length() - 1) // 10, len(units) - 1)
    return f"{size / 1024**step:.4g} {units[step]}"
