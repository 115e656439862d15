"""The data folder: what lies where, and the small files in it."""
