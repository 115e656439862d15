"""Calls between members: the methods, who may call each, both ends, and the answers of all merged."""
