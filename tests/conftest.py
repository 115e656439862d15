"""Shared by all tests: nothing but what every test must have."""
