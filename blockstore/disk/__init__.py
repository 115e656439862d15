"""What the store asks of a file system: room, a lock, nameless files, ballast for a full disk."""
