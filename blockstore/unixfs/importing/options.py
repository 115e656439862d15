"""How files become DAGs: every setting that changes a CID, with Kubo's implications (IPIP-499)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from blockstore.errors import BadImportOption
from blockstore.hashing import FUNCTIONS
from blockstore.unixfs.chunking.chunker import chunker_factory
from blockstore.unixfs.importing.directory import Estimation, ShardingRule
from blockstore.unixfs.importing.nodes import Namer

MAX_INLINE_BYTES = 128
DEFAULT_INLINE_BYTES = 32
_MAX_LINKS = 10_000_000
_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Settings that agree with each other; `resolve` makes them.

    `inline_limit` None: no inlining. `mode` and `mtime` are given to every entry; `preserve_*` takes each
    entry's own instead. `wrap` puts all into one unnamed directory. Sizes are bytes; a limit of 0 is none.
    """

    chunker: str = "size-262144"
    cid_version: int = 0
    hash_name: str = "sha2-256"
    raw_leaves: bool = False
    trickle: bool = False
    max_file_links: int = 174
    max_directory_links: int = 0
    hamt_fanout: int = 256
    hamt_threshold: int = 262144
    threshold_estimation: Estimation = "links"
    inline_limit: int | None = None
    wrap: bool = False
    empty_dirs: bool = True
    mode: int | None = None
    mtime: tuple[int, int] | None = None
    preserve_mode: bool = False
    preserve_mtime: bool = False

    def namer(self) -> Namer:
        return Namer(self.cid_version, self.hash_name, self.inline_limit)

    def sharding(self) -> ShardingRule:
        return ShardingRule(
            self.hamt_threshold, self.threshold_estimation, self.max_directory_links, self.hamt_fanout
        )


_V0_2015 = ImportOptions()
_V1_2025 = ImportOptions(
    chunker="size-1048576",
    cid_version=1,
    raw_leaves=True,
    max_file_links=1024,
    threshold_estimation="block",
)
PROFILES = {"unixfs-v0-2015": _V0_2015, "legacy-cid-v0": _V0_2015, "unixfs-v1-2025": _V1_2025}


def profile(name: str) -> ImportOptions:
    """The settings of a profile. Raises BadImportOption."""
    try:
        return PROFILES[name]
    except KeyError:
        raise BadImportOption(f'import profile "{name}" is unknown: use {", ".join(PROFILES)}') from None


@dataclass(frozen=True, slots=True)
class ImportFlags:
    """What a caller asked for; None and False mean: not mentioned, so the profile and the rest decide."""

    chunker: str | None = None
    cid_version: int | None = None
    hash_name: str | None = None
    raw_leaves: bool | None = None
    trickle: bool | None = None
    max_file_links: int | None = None
    max_directory_links: int | None = None
    hamt_fanout: int | None = None
    hamt_threshold: int | None = None
    threshold_estimation: str | None = None
    inline: bool = False
    inline_limit: int = DEFAULT_INLINE_BYTES
    wrap: bool = False
    empty_dirs: bool = True
    mode: int = 0
    mtime: int = 0
    mtime_nsecs: int = 0
    preserve_mode: bool = False
    preserve_mtime: bool = False


def resolve(base: str | ImportOptions, flags: ImportFlags | None = None) -> ImportOptions:
    """Apply flags to a profile as `ipfs add` does. Raises BadImportOption for values at odds."""
    options = profile(base) if isinstance(base, str) else base
    if flags is None:
        return options
    options = _with_limits(options, flags)
    options = _with_cids(options, flags)
    options = _with_stat(options, flags)
    _check_links(options)
    return options


def _with_limits(base: ImportOptions, flags: ImportFlags) -> ImportOptions:
    estimation = flags.threshold_estimation or base.threshold_estimation
    known: tuple[Estimation, ...] = get_args(Estimation)
    found = [name for name in known if name == estimation]
    if not found:
        raise BadImportOption(f'size estimation "{estimation}" is unknown: use {", ".join(known)}')
    spec = flags.chunker or base.chunker
    chunker_factory(spec)
    return replace(
        base,
        chunker=spec,
        trickle=base.trickle if flags.trickle is None else flags.trickle,
        max_file_links=flags.max_file_links or base.max_file_links,
        max_directory_links=_given(flags.max_directory_links, base.max_directory_links),
        hamt_fanout=_given(flags.hamt_fanout, base.hamt_fanout),
        hamt_threshold=_given(flags.hamt_threshold, base.hamt_threshold),
        threshold_estimation=found[0],
        wrap=flags.wrap,
        empty_dirs=flags.empty_dirs,
    )


def _given(flag: int | None, otherwise: int) -> int:
    return otherwise if flag is None else flag


def _with_cids(base: ImportOptions, flags: ImportFlags) -> ImportOptions:
    """A hash that CIDv0 cannot express makes version 1; version 1 makes raw leaves, unless said otherwise."""
    name = (flags.hash_name or base.hash_name).lower()
    _check_hash(name)
    version = flags.cid_version
    if version is None:
        version = base.cid_version if name == "sha2-256" else 1
    if version not in (0, 1):
        raise BadImportOption(f"CID version {version} is unknown: use 0 or 1")
    if version == 0 and name != "sha2-256":
        raise BadImportOption(f'CIDv0 only supports sha2-256, not "{name}": use --cid-version=1')
    raw_leaves = (base.raw_leaves or version == 1) if flags.raw_leaves is None else flags.raw_leaves
    limit = flags.inline_limit if flags.inline else base.inline_limit
    if limit is not None and not 0 <= limit <= MAX_INLINE_BYTES:
        raise BadImportOption(f"inline-limit {limit} is not within 0 to {MAX_INLINE_BYTES} bytes")
    return replace(base, cid_version=version, hash_name=name, raw_leaves=raw_leaves, inline_limit=limit)


def _check_hash(name: str) -> None:
    if name == "identity":
        raise BadImportOption("the identity hash cannot name large blocks: use --inline")
    if name not in FUNCTIONS:
        raise BadImportOption(f'hash function "{name}" is unknown')


def _with_stat(base: ImportOptions, flags: ImportFlags) -> ImportOptions:
    """A mode or time needs a dag-pb root, so raw leaves go, unless they were asked for by name."""
    if not 0 <= flags.mode < 1 << 32 or not -_INT64 <= flags.mtime < _INT64:
        raise BadImportOption("mode or mtime is out of range")
    if not 0 <= flags.mtime_nsecs < 1_000_000_000 or (flags.mtime_nsecs and not flags.mtime):
        raise BadImportOption("mtime-nsecs goes with mtime, and is below one second")
    if not (flags.mode or flags.mtime or flags.preserve_mode or flags.preserve_mtime):
        return base
    if flags.raw_leaves:
        raise BadImportOption("raw-leaves can't be used with UnixFS metadata like mode or modification time")
    return replace(
        base,
        raw_leaves=False,
        mode=_permissions(flags.mode) if flags.mode else None,
        mtime=(flags.mtime, flags.mtime_nsecs) if flags.mtime else None,
        preserve_mode=flags.preserve_mode and not flags.mode,
        preserve_mtime=flags.preserve_mtime and not flags.mtime,
    )


def _permissions(mode: int) -> int:
    """The bits that Kubo keeps of `--mode`: it reads the number as Go does, where setuid is bit 23."""
    return mode & 0o777 | (mode & 0xC00000) >> 12 | (mode & 1 << 20) >> 11


def _check_links(options: ImportOptions) -> None:
    if not (1 if options.trickle else 2) <= options.max_file_links <= _MAX_LINKS:
        raise BadImportOption(f"max-file-links is {options.max_file_links}: a file's nodes need 2 or more")
    if options.max_directory_links < 0 or options.hamt_threshold < 0:
        raise BadImportOption("max-directory-links and the HAMT threshold cannot be negative")
    fanout = options.hamt_fanout
    if not 8 <= fanout <= 1024 or fanout & fanout - 1:
        raise BadImportOption(f"HAMT fanout must be a power of 2, between 8 and 1024 (got {fanout})")
