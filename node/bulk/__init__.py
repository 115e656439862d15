"""Blocks between members in bulk: mutual TLS, a list of CIDs answered by a stream of blocks."""
