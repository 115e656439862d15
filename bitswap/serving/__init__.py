"""The half that gives blocks: what each peer wants of this node, and whose turn it is."""
