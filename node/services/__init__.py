"""What the node does for its faces: adding, collection, repair, notices to the operator."""
