"""The half that wants blocks: whom to ask, for what, how often and how long."""
