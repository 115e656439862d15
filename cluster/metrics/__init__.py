"""What members say of themselves: published by gossip, kept while it is valid, alerts when it is not."""
