"""The version, in the one place that pip, the commands, the HTTP faces and the binary read."""

VERSION = "0.1.0"

CLUSTER_VERSION = f"1.1.6+pinfold-{VERSION}"
"""What ipfs-cluster's clients are shown: the release whose API this is, then who answers in fact (semver)."""

KUBO_VERSION = "0.43.1"
"""The Kubo release whose RPC is followed; its clients compare numbers."""
