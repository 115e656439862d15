"""The pins as documents of Yjs: what they hold, and what others may add to them."""
