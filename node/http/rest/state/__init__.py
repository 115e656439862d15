"""The whole pinset as ipfs-cluster's own export has it, a JSON object a line: written, and read in again."""
