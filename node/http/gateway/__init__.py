"""The gateway: content by its address over plain HTTP (specs: path gateway, trustless gateway)."""
