"""HTTPS: certificates of files, and connections that begin with a handshake."""
