"""The command line: a client of the node's HTTP API, and `daemon` that runs it."""
