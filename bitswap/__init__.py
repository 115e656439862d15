"""Blocks exchanged with peers by Bitswap: the wire form and the shell here, the two halves in rooms."""
