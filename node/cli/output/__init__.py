"""What commands print and write: lines, JSON, progress, files that are whole or absent."""
