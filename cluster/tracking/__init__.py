"""What this member does about each pin: desired against actual, a queue, workers, statuses."""
