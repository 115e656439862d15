"""Writing next to the place where something is to be, so that it is there whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A free hidden name in the target's folder; what is still there when the block ends is removed.

    To keep what was written, rename it. Nothing is made here, so an interruption finds nothing unknown.
    """
    # never made of the target's name: that may be as long as a name can be
    fresh = target.with_name(f".pinfold-part-{secrets.token_hex(8)}")
    try:
        yield fresh
    finally:
        if fresh.is_dir() and not fresh.is_symlink():
            shutil.rmtree(fresh)
        else:
            fresh.unlink(missing_ok=True)
