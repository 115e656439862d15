"""Who changed what: a bounded log of requests, kept over restarts."""
