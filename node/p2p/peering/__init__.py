"""Being connected to those one wants to be: addresses, dials, peering, mDNS. The asyncio side; no trio here."""
