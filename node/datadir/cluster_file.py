"""Which cluster this node belongs to: the file `cluster.json`, written by `pinfold init` (mode 0600)."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from blockstore.common.text_file import read_text
from cluster.common import wire
from cluster.common.genesis import Genesis
from cluster.errors import BadInvite, BadUpdate
from cluster.members.invite import Invite
from node.errors import NodeError
from node.files.atomic_write import atomic_write

_log = logging.getLogger(__name__)


class BadClusterFile(NodeError):
    """The file is missing or cannot be read; names it and says what to do."""


@dataclass(frozen=True, slots=True)
class ClusterFile:
    """The cluster's genesis, the key of its private network (32 bytes), and the token this node came with."""

    genesis: Genesis
    secret: bytes
    invite: Invite | None = None

    @classmethod
    def invited(cls, invite: Invite) -> ClusterFile:
        return cls(invite.genesis, invite.secret, invite)

    @classmethod
    def read(cls, path: Path) -> ClusterFile:
        """Raises BadClusterFile."""
        try:
            fields = json.loads(read_text(path))
            token = fields["invite"]
            return cls(
                Genesis.decode(base64.b64decode(fields["genesis"], validate=True)),
                base64.b64decode(fields["secret"], validate=True),
                _invite(token) if token else None,
            )
        except FileNotFoundError:
            raise BadClusterFile(
                f"{path} is missing: run `pinfold init`, or restore it from a backup"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError, BadUpdate) as error:
            raise BadClusterFile(f"{path} cannot be read ({error}): restore it from a backup") from None

    def without_token(self) -> ClusterFile:
        """The same, once the token has done its work."""
        return ClusterFile(self.genesis, self.secret)

    def write(self, path: Path) -> None:
        """All or nothing."""
        fields = {
            "name": self.genesis.name,
            "genesis": base64.b64encode(bytes(self.genesis)).decode(),
            "secret": base64.b64encode(self.secret).decode(),
            "invite": str(self.invite) if self.invite else "",
        }
        atomic_write(path, json.dumps(fields, indent=2).encode())


def _invite(token: str) -> Invite | None:
    """Kept from before; a node that is a member has no use for it, whatever is wrong with it."""
    try:
        return Invite.parse(token, wire.decode)
    except BadInvite as error:
        _log.warning("the join token in cluster.json is passed over: %s", error)
        return None
