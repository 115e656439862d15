"""Blocks for one request: local store, cache, hedged exchanges, trustless gateways, deadlines."""
