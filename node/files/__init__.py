"""Files written whole or not at all, and paths that name descriptors."""
