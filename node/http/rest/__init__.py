"""The cluster REST API as ipfs-cluster's clients know it, and what it has beyond that under /v1/."""
