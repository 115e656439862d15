"""Requests of the Pinning Service API: each has an id of its own, and keeps its pin for its owner."""
