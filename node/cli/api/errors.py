"""How a call on a node fails."""

from __future__ import annotations

from pathlib import Path


class NoDaemon(Exception):
    """Nothing answers at that address."""

    def __init__(self, url: str) -> None:
        super().__init__(f"no daemon at {url}: start one with `pinfold daemon`")


class StrangeCertificate(Exception):
    """What answers there does not prove that it is the node."""

    def __init__(self, url: str, certificate: Path, error: OSError) -> None:
        why = getattr(error, "verify_message", "") or error.strerror or str(error)
        super().__init__(
            f"what answers at {url} does not show the certificate in {certificate} ({why}): "
            "is another program on its port, or has the file ended or changed?"
        )


class ApiError(Exception):
    """The node refused or failed; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotText(Exception):
    """Something that has to be text is not UTF-8."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name} has to be text in UTF-8, not {value}")


class DaemonLost(Exception):
    """The node went away in the middle of an answer."""
