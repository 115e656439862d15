"""The shelf that every package may import: structured tasks, guards and small formats, without any policy."""
