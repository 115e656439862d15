"""How an answer is sent: headers, conditions, ranges, bytes, and the gateway's own messages."""
