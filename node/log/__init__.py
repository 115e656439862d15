"""The daemon's log: handler, form of a line, bounded rate."""
