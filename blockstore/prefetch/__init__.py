"""Blocks fetched ahead of their turn, within a budget of memory that all readers share."""
