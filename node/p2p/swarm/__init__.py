"""Connections of one network: host, dialing, listening, identify, discovery, liveness."""
