"""Who is connected, and staying so: addresses, dials, peering, mDNS. On the asyncio side, without trio."""
