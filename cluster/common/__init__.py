"""What the rooms of the cluster share: wire form, clocks, names, addresses, ordering."""
