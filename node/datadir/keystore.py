"""Private keys of names on disk: one file a key, in the form and by the names of Kubo's `keystore` folder."""

from __future__ import annotations

import base64
import binascii
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.datadir.private_key import BadKey, KeyFormat, PrivateKey
from node.errors import NodeError
from node.files.atomic_write import atomic_write

SELF = "self"
"""The node's own key, which is no file of the keystore."""

MAX_LABEL = 128  # bytes of a key's name; as a file's name it is longer
PREFIX = "key_"  # of the files


class KeystoreError(NodeError):
    """Every error of the keystore that is the caller's."""


class BadLabel(KeystoreError, ValueError):
    """Text that no key can be called."""


class KeyExists(KeystoreError):
    """A key has that name already."""


class NoKey(KeystoreError):
    """No key has that name."""


class KeystoreUnavailable(KeystoreError):
    """The disk does not do what is asked of it."""


class Keystore:
    """Keys by what their owner calls them. Every method goes to the disk; any thread may call."""

    def __init__(self, folder: Path, own: PrivateKey) -> None:
        """`folder` is made with the first key."""
        self._folder = folder
        self._own = own
        self._lock = threading.Lock()

    def get(self, label: str) -> PrivateKey:
        """Raises NoKey, BadKey, BadLabel, KeystoreUnavailable."""
        if label == SELF:
            return self._own
        path = self._path(label)
        try:
            with _disk():
                return PrivateKey.decode(path.read_bytes(), KeyFormat.PROTOBUF)
        except FileNotFoundError:
            raise NoKey(f"no key named {label} was found") from None
        except BadKey as error:
            raise BadKey(f"the key {label} cannot be read ({path}): {error}") from None

    def every(self) -> list[tuple[str, PrivateKey]]:
        """All by name, the node's own first; what is no key is passed over. Raises KeystoreUnavailable."""
        return [(SELF, self._own), *self._stored()]

    def with_multihash(self, multihash: bytes) -> PrivateKey | None:
        """The key that has this name in IPNS. Raises KeystoreUnavailable."""
        return next((key for _, key in self.every() if key.multihash == multihash), None)

    def add(self, label: str, key: PrivateKey) -> None:
        """It is on the disk, for its owner alone, when this returns.

        Raises KeyExists, BadLabel, KeystoreUnavailable.
        """
        if label == SELF:
            raise KeyExists(f"cannot create key with name '{SELF}': it is the node's own")
        path = self._path(label)
        with self._lock, _disk():
            if path.exists():
                raise KeyExists(f"key with name '{label}' already exists")
            self._folder.mkdir(mode=0o700, exist_ok=True)
            atomic_write(path, key.encode(KeyFormat.PROTOBUF))

    def rename(self, old: str, new: str, *, force: bool) -> bool:
        """Whether another key was replaced, which only `force` does.

        Raises NoKey, KeyExists, BadLabel, KeystoreUnavailable.
        """
        if SELF in (old, new):
            raise KeystoreError(f"cannot rename a key from or to '{SELF}': that is the node's own")
        source, target = self._path(old), self._path(new)
        with self._lock, _disk():
            if not source.exists():
                raise NoKey(f"no key named {old} was found")
            replaced = target.exists() and source != target
            if replaced and not force:
                raise KeyExists(f"key by that name already exists, refusing to overwrite: {new}")
            os.replace(source, target)
        return replaced

    def remove(self, label: str) -> PrivateKey:
        """The key, which is nowhere else unless it was exported.

        Raises NoKey, BadKey, BadLabel, KeystoreUnavailable.
        """
        if label == SELF:
            raise KeystoreError(f"cannot remove key with name '{SELF}': it is the node's own")
        with self._lock, _disk():
            key = self.get(label)
            self._path(label).unlink()
        return key

    def _path(self, label: str) -> Path:
        """Raises BadLabel."""
        size = len(label.encode(errors="surrogateescape"))
        if not 0 < size <= MAX_LABEL or not label.isprintable() or label.startswith(("/", "-")):
            raise BadLabel(
                f"a key's name has 1 to {MAX_LABEL} bytes, all printable, and does not begin with / or -"
            )
        return self._folder / (PREFIX + base64.b32encode(label.encode()).decode().rstrip("=").lower())

    def _stored(self) -> Iterator[tuple[str, PrivateKey]]:
        try:
            with _disk():
                names = os.listdir(self._folder)
        except FileNotFoundError:
            return
        for label in sorted(filter(None, map(_label, names))):
            try:
                yield label, self.get(label)
            except (BadKey, NoKey, BadLabel):
                continue  # told when that key is asked for by name


@contextmanager
def _disk() -> Iterator[None]:
    """A file that is not there stays that."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeystoreUnavailable(f"the keystore cannot be used: {error}") from None


def _label(name: str) -> str:
    """What a file's key is called; empty where it is none of ours."""
    text = name.removeprefix(PREFIX).upper()
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
        return data.decode() if name.startswith(PREFIX) else ""
    except (binascii.Error, ValueError):
        return ""
