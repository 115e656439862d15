"""The access log and where its lines go."""
