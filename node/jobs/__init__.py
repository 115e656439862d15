"""Long work of this node and of its cluster: listed, paused, resumed and cancelled by one mechanism."""
