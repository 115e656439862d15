"""What travels between connected peers: messages, calls, gossip, each bounded."""
