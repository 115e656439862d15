"""From a TCP connection to authenticated streams: private network, Noise, yamux."""
