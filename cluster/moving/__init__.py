"""Pins that go from members to others: draining and rebalancing, planned, shown and done in two steps."""
