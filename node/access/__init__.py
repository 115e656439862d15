"""Who may do what: rights, tokens, and the credentials that callers show."""
