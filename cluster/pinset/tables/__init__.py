"""The pinset in SQLite: rows, indexes, and how each is read and written."""
