"""Content types: by the extension of a name, else by the first bytes."""
