"""Delegated Routing V1 on the gateway's port: who has content, where peers are, and records of names."""
