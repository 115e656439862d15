"""The block store in SQLite: one writer, a few readers, rows checked before they are believed."""
