"""Who holds what: the replicated pinset, the members, and what this member does about them."""
