"""The data folder: what lies where. Everything a node owns is in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from node.errors import NodeError

DEFAULT = Path("~/.pinfold")
VARIABLE = "PINFOLD_PATH"


class NoHome(NodeError):
    """The data folder lies below a home that there is not."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths inside one data folder. Nothing is created by naming it."""

    root: Path

    @classmethod
    def choose(cls, option: str | None = None) -> DataFolder:
        """`--path`, else PINFOLD_PATH, else ~/.pinfold. Raises NoHome."""
        chosen = Path(option or os.environ.get(VARIABLE) or DEFAULT)
        try:
            return cls(chosen.expanduser())
        except RuntimeError:  # no HOME, and no user of this process's number
            raise NoHome(f"{chosen}: there is no home; name a folder with --path or {VARIABLE}") from None

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def identity(self) -> Path:
        """The node's private key (mode 0600)."""
        return self.root / "identity.key"

    @property
    def cluster(self) -> Path:
        """Which cluster this node belongs to: genesis, secret, first addresses (mode 0600)."""
        return self.root / "cluster.json"

    @property
    def secret(self) -> Path:
        """What a caller shows who acts for the node's owner (mode 0600)."""
        return self.root / "api.secret"

    @property
    def access(self) -> Path:
        """Tokens by the hash of their text (mode 0600)."""
        return self.root / "access.json"

    @property
    def audit(self) -> Path:
        """Who changed what; older parts lie beside it (mode 0600)."""
        return self.root / "audit.log"

    @property
    def addresses(self) -> Path:
        """Where the running daemon listens; removed when it ends."""
        return self.root / "addresses.json"

    @property
    def handed_files(self) -> Path:
        """A socket that takes open files of programs that add them (mode 0600); removed when it ends."""
        return self.root / "files.sock"

    @property
    def peers(self) -> Path:
        """Addresses of peers seen, kept over restarts."""
        return self.root / "peers.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def blocks(self) -> Path:
        return self.root / "blocks.db"

    @property
    def volumes(self) -> Path:
        """Large blocks; other folders of them are settings."""
        return self.root / "volumes"

    @property
    def pins(self) -> Path:
        return self.root / "pins.db"

    @property
    def pinset(self) -> Path:
        return self.root / "cluster.db"

    @property
    def requests(self) -> Path:
        """What was asked of the pinning service here."""
        return self.root / "requests.db"

    @property
    def names(self) -> Path:
        """IPNS records that were put here, or seen."""
        return self.root / "names.db"

    @property
    def keystore(self) -> Path:
        """Private keys of names, one a file, as Kubo has them (mode 0600)."""
        return self.root / "keystore"

    @property
    def provide(self) -> Path:
        """What the DHT is to be told of next, and how far that is."""
        return self.root / "provide.db"

    @property
    def servers(self) -> Path:
        """Servers of the DHT that answered, kept over restarts."""
        return self.root / "servers.json"

    @property
    def ballast(self) -> Path:
        """Room on the disk, kept for what must be written when there is none left."""
        return self.root / "ballast"

    @property
    def scrub(self) -> Path:
        """How far the pass over all blocks is, and when the next one is due."""
        return self.root / "scrub.json"

    @property
    def jobs(self) -> Path:
        """Jobs that have ended."""
        return self.root / "jobs.json"

    @property
    def denylists(self) -> Path:
        """Holds `*.deny` files of content that is not to be served."""
        return self.root / "denylists"

    @property
    def errors(self) -> Path:
        """The stack of the last unforeseen error (mode 0600)."""
        return self.root / "error.log"

    @property
    def exists(self) -> bool:
        return self.identity.exists()
