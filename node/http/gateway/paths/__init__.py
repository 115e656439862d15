"""Which content a URL means: paths, names followed, and where else to ask."""
