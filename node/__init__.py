"""The node put together: configuration, data folder, networks, retrieval, HTTP listeners, command line."""
