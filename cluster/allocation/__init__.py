"""The rules that choose which members hold a pin, when it moves and when it expires."""
