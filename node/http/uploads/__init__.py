"""multipart/form-data as a stream of entries to import."""
