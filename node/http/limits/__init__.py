"""Bounds for clients: connections, requests, rates, and the address that they are counted by."""
