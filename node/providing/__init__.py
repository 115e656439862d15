"""Telling the DHT what this node has: a new root at once, all of it again before the news expires."""
