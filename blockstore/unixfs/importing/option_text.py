"""Import settings as text: the parameters of Kubo's and ipfs-cluster's HTTP `add`, and of our CLI."""

from __future__ import annotations

import re
from collections.abc import Mapping

from blockstore.errors import BadImportOption
from blockstore.unixfs.importing.options import DEFAULT_INLINE_BYTES, ImportFlags, ImportOptions, resolve

_TRUE = frozenset(
    {"", "1", "t", "T", "TRUE", "true", "True"}
)  # what Go's ParseBool takes, and a bare `?flag`
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_UNSUPPORTED = ("nocopy", "fscache", "shard")
PARAMETERS = (
    *_UNSUPPORTED, "profile", "chunker", "cid-version", "hash", "raw-leaves", "layout", "trickle",
    "max-file-links", "max-directory-links", "max-hamt-fanout", "hamt-threshold", "hamt-threshold-estimation",
    "inline", "inline-limit", "wrap-with-directory", "empty-dirs", "mode", "mtime", "mtime-nsecs",
    "preserve-mode", "preserve-mtime",
)  # fmt: skip
"""Every name that is read here."""


def from_query(query: Mapping[str, str], base: str | ImportOptions) -> ImportOptions:
    """Read the settings out of a request's parameters, passing over all others.

    Names are Kubo's (`cid-version`, `raw-leaves`, `wrap-with-directory`, ...); `layout` as in ipfs-cluster.
    A `profile` among them replaces `base`. Raises BadImportOption.
    """
    for name in _UNSUPPORTED:
        if _switch(query, name):
            raise BadImportOption(f"{name} is not supported: files are always copied into the block store")
    limit = _number(query, "inline-limit")
    flags = ImportFlags(
        chunker=query.get("chunker"),
        cid_version=_number(query, "cid-version"),
        hash_name=query.get("hash"),
        raw_leaves=_switch(query, "raw-leaves"),
        trickle=_trickle(query),
        max_file_links=_number(query, "max-file-links"),
        max_directory_links=_number(query, "max-directory-links"),
        hamt_fanout=_number(query, "max-hamt-fanout"),
        hamt_threshold=_number(query, "hamt-threshold"),
        threshold_estimation=query.get("hamt-threshold-estimation"),
        inline=bool(_switch(query, "inline")),
        inline_limit=DEFAULT_INLINE_BYTES if limit is None else limit,
        wrap=bool(_switch(query, "wrap-with-directory")),
        empty_dirs=_switch(query, "empty-dirs") is not False,
        mode=_number(query, "mode") or 0,
        mtime=_number(query, "mtime") or 0,
        mtime_nsecs=_number(query, "mtime-nsecs") or 0,
        preserve_mode=bool(_switch(query, "preserve-mode")),
        preserve_mtime=bool(_switch(query, "preserve-mtime")),
    )
    return resolve(query.get("profile") or base, flags)


def _switch(query: Mapping[str, str], name: str) -> bool | None:
    """True or false as Go writes them; None when the parameter is not there."""
    text = query.get(name)
    if text is None:
        return None
    if text not in _TRUE | _FALSE:
        raise BadImportOption(f'{name} is "{text}": use true or false')
    return text in _TRUE


def _number(query: Mapping[str, str], name: str) -> int | None:
    """An integer as Go writes them: decimal, 0x, 0b, and octal behind 0 or 0o. An empty text is none."""
    text = query.get(name, "")
    if not text:
        return None
    if (
        not re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)", text)
        or len(text) > 32
    ):
        raise BadImportOption(f'{name} is "{text}": use a whole number')
    return int(re.sub(r"^([+-]?)0([0-7])", r"\g<1>0o\2", text), 0)


def _trickle(query: Mapping[str, str]) -> bool | None:
    layout = query.get("layout", "")
    if layout not in ("", "balanced", "trickle"):
        raise BadImportOption(f'layout "{layout}" is unknown: use balanced or trickle')
    if layout:
        return layout == "trickle"
    return _switch(query, "trickle")
