"""What happens on this node, told as it happens: pins, statuses, members, alerts."""
