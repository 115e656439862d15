"""Who may connect and stay: the gate, places, memory, streams, newcomers."""
