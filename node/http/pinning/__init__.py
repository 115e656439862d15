"""The Pinning Service API (IPFS, 1.0), for `ipfs pin remote` and its like."""
