"""HTTP calls on a running node: what the command line is made of."""
