"""The listener that Prometheus asks: what ipfs-cluster tells of itself under the same names, and more."""
