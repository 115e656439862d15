"""Go's forms of JSON, durations and query strings, which clients of Kubo and ipfs-cluster expect."""
