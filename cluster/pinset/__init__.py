"""The pinset of this member: CRDT documents, signed batches, the transaction that commits them."""
