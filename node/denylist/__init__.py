"""Denylists (IPIP-383): rules, files, and the gates at which they are asked."""
