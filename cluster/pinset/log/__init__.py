"""Logs of signed batches as values: who wrote what, in which order, and where logs fork."""
