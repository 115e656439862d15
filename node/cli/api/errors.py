"""How a call on a node fails."""

from __future__ import annotations


class NoDaemon(Exception):
    """Nothing answers at that address."""

    def __init__(self, url: str) -> None:
        super().__init__(f"no daemon at {url}: start one with `pinfold daemon`")


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
