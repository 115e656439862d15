"""What can go wrong with a name; the text is for the person who asked for it."""

from __future__ import annotations

from node.errors import NodeError


class NamesError(NodeError):
    """Every error of this package."""


class BadName(NamesError, ValueError):
    """Text that is neither the name of a key nor a domain name."""


class BadRecord(NamesError, ValueError):
    """An IPNS record that does not verify for its name, or a DNSLink that does not say one path."""


class OlderRecord(NamesError):
    """A good IPNS record, but a newer one of that name is here."""


class NotPublished(NamesError):
    """No peer took the record: says why, and what to do."""


class TooManyNames(NamesError):
    """The cluster keeps as many published names as it may."""


class NameNotFound(NamesError):
    """No source that could be asked knows where the name leads."""


class NameTooDeep(NamesError):
    """Names that lead to names without end."""


class RecordsUnavailable(NamesError):
    """The file of records cannot be read: a trouble of this machine."""


class DnsFailure(NamesError):
    """The resolver did not answer, or answered that it cannot."""
