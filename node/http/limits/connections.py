"""How many connections a process has room for: each is an open file, and the node needs some for itself."""

from __future__ import annotations

import logging
import resource

_log = logging.getLogger(__name__)
_RESERVED = 512  # databases, peers, the other listeners, what is being read


def connection_limit(most: int) -> int:
    """`most` (0 = whatever there is room for), or fewer where the process may not open so many files.

    The process's soft limit is raised to its hard one first: shells have 1024 there.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:  # macOS has a lower ceiling than the one it reports
            _log.info("open files stay limited to %d: %s", soft, error)
    room = max(soft // 2, soft - _RESERVED)
    return min(most, room) if most else room
