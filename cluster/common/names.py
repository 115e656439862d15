"""Names that members give themselves and their clusters: for people, with nothing that a terminal obeys."""

from __future__ import annotations

import re

MAX_NAME = 255
"""Characters of any name that members send each other; what a user may write can be less."""

# controls, line ends, changes of direction, halves of characters
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def as_name(text: str) -> str:
    """The text as a name that members take: without characters that are not shown, cut to MAX_NAME."""
    return _UNSHOWN.sub("", text)[:MAX_NAME]
