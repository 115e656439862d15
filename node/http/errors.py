"""Our exceptions → HTTP statuses: one table for every face."""

from __future__ import annotations

from aiohttp import web

from blockstore import errors as blockstore
from cluster import errors as cluster
from cluster.ports import CallFailed, PeerOffline, PinFailed
from node.access import errors as access
from node.audit.audit_files import AuditUnreadable
from node.audit.audit_log import FollowerBehind, TooManyFollowers
from node.datadir.keystore import KeystoreError, KeystoreUnavailable
from node.datadir.private_key import BadKey
from node.denylist.errors import ContentBlocked, LegallyBlocked
from node.jobs.job import JobCancelled, JobRefuses, NoSuchJob
from node.names.errors import BadName, NamesError, NameTooDeep, TooManyNames
from node.pinning.errors import TooManyOfOneCid, UnknownRequest
from node.routing.router import NotProvided


class BadMultipart(ValueError):
    """A body that is not the multipart/form-data it says it is, or that ends early."""


class BadRequest(Exception):
    """A request whose parameters do not parse; the text names the parameter."""


# The first class that fits counts. Where ipfs-cluster answers 500 to what is the caller's mistake (options
# that contradict the pin as it stands, too few peers, a follower asked to write), we do too: its clients
# and tests compare the numbers.
STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (BadRequest, 400),
    (BadMultipart, 400),
    (JobRefuses, 409),
    (JobCancelled, 409),
    (NoSuchJob, 404),
    (web.RequestPayloadError, 400),  # a body that is not what its headers say, such as bad chunks
    (LegallyBlocked, 451),
    (ContentBlocked, 410),
    (BadName, 400),
    (NameTooDeep, 400),  # spec: DNSLink gateway
    (TooManyNames, 507),
    (NamesError, 500),
    (NotProvided, 500),
    (KeystoreUnavailable, 500),
    (KeystoreError, 400),
    (BadKey, 400),
    (access.BadToken, 400),
    (access.TokenExists, 409),
    (access.UnknownToken, 404),
    (UnknownRequest, 404),
    (TooManyOfOneCid, 409),
    (TooManyFollowers, 503),
    (FollowerBehind, 503),
    (AuditUnreadable, 500),
    (cluster.BadReplication, 500),
    (cluster.BadPinValue, 400),
    (cluster.NotPinned, 404),
    (cluster.NotOwned, 403),
    (cluster.BadInvite, 400),
    (cluster.BadAddress, 400),
    (cluster.UnknownMember, 404),
    (cluster.CannotRemove, 409),
    (cluster.CannotDrain, 409),
    (cluster.RebalanceRuns, 409),
    (cluster.QueueFull, 503),
    (cluster.MemberQuotaReached, 507),
    (cluster.NotReady, 503),
    (cluster.BadCursor, 400),
    (cluster.ClusterError, 500),
    (CallFailed, 500),
    (PeerOffline, 500),
    (PinFailed, 500),
    (blockstore.BadCid, 400),
    (blockstore.BadPath, 400),
    (blockstore.BadImportOption, 400),
    (blockstore.BadEntry, 400),
    (blockstore.BadCar, 400),
    (blockstore.BlockTooLarge, 400),
    (blockstore.UnknownHash, 400),
    (blockstore.BlockUnavailable, 504),
    (blockstore.BlockNotFound, 404),
    (blockstore.NoLink, 404),
    (blockstore.NotUnixFS, 400),
    (blockstore.UnknownCodec, 501),
    (blockstore.HashMismatch, 502),
    (blockstore.StorageFull, 507),
    (blockstore.BlockstoreError, 500),
    (TimeoutError, 504),
)
EXPECTED = tuple(kind for kind, _ in STATUSES)
"""What a face answers for; anything else is a bug, which aiohttp logs and answers with a bare 500."""


def status_of(error: Exception) -> int:
    """The HTTP status of one of the EXPECTED errors."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def text_of(error: Exception) -> str:
    """What the user reads, on one line: it may travel in a header."""
    if isinstance(error, web.RequestPayloadError):
        return "the body of the request is not what its headers say"
    return " ".join(str(error).split()) or type(error).__name__


def client_closed_request() -> web.Response:
    """The answer to a client that has left: aiohttp notices on sending it, and logs nothing."""
    return web.Response(status=499, reason="Client Closed Request")  # as nginx has it in its logs
