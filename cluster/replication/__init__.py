"""How changes of the pinset travel: gossip, admission, hold-back, catch-up, anti-entropy."""
