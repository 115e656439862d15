"""The block store in volumes: large blocks once, in files that only grow; the rest in SQLite."""
