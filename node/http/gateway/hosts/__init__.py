"""Which host a request is for, and what hangs there: nothing here looks at content."""
