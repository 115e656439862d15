"""Mutable names: IPNS records, DNSLink, static names, and the cache of their answers."""
