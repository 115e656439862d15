"""What `pinfold init` makes: the data folder, the node's key, and the cluster it belongs to."""

from __future__ import annotations

import secrets
import socket
import time
from dataclasses import dataclass

from cluster.common.genesis import MAX_NAME_BYTES, found_cluster
from cluster.common.names import MAX_NAME, as_name
from cluster.members.invite import SECRET_BYTES, Invite
from node.datadir.api_secret import made_secret
from node.datadir.cluster_file import ClusterFile
from node.datadir.folder import DataFolder
from node.datadir.identity import Identity, load, save
from node.datadir.permissions import close_to_others
from node.errors import NodeError
from node.files.atomic_write import atomic_write

_CONFIG = """\
# Settings of this node. `pinfold config show` lists them all, `pinfold config set KEY VALUE` writes them
# here, and the daemon takes them up when it is started again.

[cluster]
peer_name = {name}
"""
_PUBLIC = """
[swarm]
host = "0.0.0.0"  # every IPv4 address of this machine

[routing]
dht = "client"
public = true
"""


class AlreadySetUp(NodeError):
    """The folder holds a node already; nothing was changed."""


class BadMachineName(NodeError):
    """A name that looks like another, or not be sent to them; nothing was made."""


@dataclass(frozen=True, slots=True)
class Created:
    """Who the new node is, and the name of its cluster."""

    peer_id: str
    cluster_name: str


def create_node(
    folder: DataFolder, token: str | None = None, name: str = "", *, public: bool = False
) -> Created:
    """Make the folder of a new node: the first of a new cluster, or one that was invited by `token`.

    `public`: its settings have it take part in the public network.
    Raises AlreadySetUp, BadMachineName, BadInvite (before anything is written), OSError.
    """
    if not name.isprintable() or as_name(name) != name:
        raise BadMachineName(
            f'"{name[:MAX_NAME]}" cannot be a machine\'s name: it has to be one line of visible text in'
            f" UTF-8, of {MAX_NAME} characters at most"
        )
    invite = Invite.parse(token) if token is not None else None
    if folder.exists:
        return _invited_again(folder, invite, public=public)
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_to_others(folder)
    name = as_name(name) or as_name(socket.gethostname()) or "node"
    identity = Identity.generate()
    belonging = ClusterFile.invited(invite) if invite else _found(identity.peer_id, name)
    belonging.write(folder.cluster)
    settings = _CONFIG.format(name=_quoted(name)) + (_PUBLIC if public else "")
    atomic_write(folder.config, settings.encode())
    made_secret(folder.secret)
    save(identity, folder.identity)  # last: with it the folder counts as set up
    return Created(identity.peer_id, belonging.genesis.name)


def _invited_again(folder: DataFolder, invite: Invite | None, *, public: bool) -> Created:
    """A node that was removed, or whose token ended before it was let in, takes another one."""
    if public:
        raise AlreadySetUp(
            f"{folder.root} is set up already, so --public changes nothing there: set swarm.host to 0.0.0.0, "
            "routing.dht to client and routing.public to true by `pinfold config set`"
        )
    belonging = ClusterFile.read(folder.cluster) if invite else None
    if invite is None or belonging is None or belonging.genesis != invite.genesis:
        other = " and belongs to another cluster" if invite else ""
        raise AlreadySetUp(f"{folder.root} is set up already{other}; another one: pinfold --path DIR init")
    ClusterFile.invited(invite).write(folder.cluster)
    return Created(load(folder.identity).peer_id, belonging.genesis.name)


def _found(peer_id: str, name: str) -> ClusterFile:
    return ClusterFile(
        found_cluster(_cluster_name(name), peer_id, time.time()), secrets.token_bytes(SECRET_BYTES)
    )


def _cluster_name(name: str) -> str:
    """The founder's name, without its domain, and no longer than an invitation may hold."""
    short = as_name(name).partition(".")[0].encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return short or "cluster"


def _quoted(text: str) -> str:
    import tomlkit

    return tomlkit.item(text).as_string()
