"""Bytes on this machine: blocks under their CIDs, the DAGs they make, the roots that keep them.

Reading order: `cid`, `block`, `store` (the contract), `sqlite`, `service` (have it or fetch it), `codecs`,
`dag` (walk), `pins`, `gc`. Names are imported from those files: this one stays empty, so that a command that
only parses a CID starts without a database.
"""
