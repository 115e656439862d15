"""Many pins in one request: a line of JSON each, of a body of any length, answered while it comes in."""
