"""Figures beside Kubo's and ipfs-cluster's: same content, same run, medians, ratios."""
