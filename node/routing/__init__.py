"""Who has content, and where peers are: members, the DHT, whatever else is asked."""
