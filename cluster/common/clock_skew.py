"""Whose clocks are off, as far as is seen here: reported once a peer, and no longer once it is mended."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from cluster.common.hybrid_clock import TOLERANCE

_log = logging.getLogger(__name__)


class ClockSkews:
    """Of members; seconds that their clocks are ahead of ours, negative when behind."""

    def __init__(self) -> None:
        self._skews: dict[str, float] = {}

    def all(self) -> Mapping[str, float]:
        """Members whose clocks are more than TOLERANCE off."""
        return dict(self._skews)

    def observe(self, peer: str, ahead: float) -> None:
        """What that member's clock shows now, compared with ours."""
        if abs(ahead) > TOLERANCE:
            self._report(peer, ahead)
        else:
            self._skews.pop(peer, None)

    def observe_stamp(self, peer: str, ahead: float) -> None:
        """What that member's clock showed some time ago, so that only one that is fast is known by it."""
        if ahead > TOLERANCE:
            self._report(peer, ahead)

    def _report(self, peer: str, ahead: float) -> None:
        if peer not in self._skews:
            _log.warning(
                "the clock of %s is %.1f hours %s ours: set both by NTP. No pin is lost, but where two"
                " members pin one CID at the same moment, the later clock's options win",
                peer,
                abs(ahead) / 3600,
                "ahead of" if ahead > 0 else "behind",
            )
        self._skews[peer] = ahead
