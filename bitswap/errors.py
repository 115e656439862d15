"""What can go wrong between Bitswap peers."""

from __future__ import annotations


class BitswapError(Exception):
    """Every error of this package; the network has its own (PeerUnreachable), and so have blocks."""


class BadMessage(BitswapError, ValueError):
    """Bytes from a peer that are not a Bitswap message within our bounds; nothing of it is used."""
