"""All HTTP: listeners, the three faces (rest, rpc, gateway) and what they share."""
