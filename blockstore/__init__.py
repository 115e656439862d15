"""Bytes on this machine: blocks under their CIDs, the DAGs they make, the roots that keep them.

Reading order: `cid`, `block`, `store` (the contract), `blocks` (have it or fetch it), `sqlite/`, `ipld/`,
`pinning/`. Names are imported from those files: this one stays empty, so that a command that only parses a
CID starts without a database.
"""
