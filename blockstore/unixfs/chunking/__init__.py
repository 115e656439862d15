"""Streams of bytes cut into the leaves of files: fixed size, Rabin, buzhash."""
