"""Settings: frozen values, their validation, and the gateway's policies by host."""
