"""Roots that this node promised to keep, and the collection of what no root reaches."""
