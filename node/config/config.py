"""Settings: frozen values from config.toml, overridden by the environment, then by the command line.

One section a table, one field a key. Unknown keys are errors: a typing mistake must not switch a limit off.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

from blockstore.common.text_file import BadText, read_text
from node.config.host_policy import HostPolicy
from node.config.validation import Setting, broken_bounds

ENVIRONMENT_PREFIX = "PINFOLD_"
_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]+)?", re.IGNORECASE)
# No settings: the data folder, and where the tests keep the peers they run against.


class BadConfig(Exception):
    """A setting that is unknown or does not fit; names the key and what it takes."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The public face: read-only content over HTTP."""

    host: str = "127.0.0.1"
    port: int = 8080  # 0 = any free one
    first_byte_timeout: float = 30.0  # seconds until a 504 when content has to be fetched
    negative_ttl: float = 10.0  # seconds that a block which could not be had is not looked for again
    subdomain_hosts: tuple[str, ...] = ("localhost",)  # hosts that give every root a subdomain of its own
    dnslink: bool = True  # serve a host that has a DNSLink as the site it leads to
    x_ipfs_path: bool = False  # send the header that Ipfs-Uri replaces (IPIP-548)
    trustless: bool = False  # give only what a client can verify: blocks, CARs, IPNS records
    fetch: bool = True  # ask others for content that is not here
    only_pinned: bool = False  # give only what the cluster pins
    hosts: tuple[str, ...] = ()  # `host word…`: what is different at one host and below it
    max_requests: int = 4096  # answered at once; 0, here and below: no limit
    max_response: int = 0  # bytes of a file, a TAR or a CAR
    max_range_file: int = 0  # bytes of a file of which ranges are given
    max_seconds: float = 3600.0  # that an answer may be sent
    max_connections: int = 10_000  # open at once
    client_connections: int = 512  # of one client, open at once
    idle_timeout: float = 120.0  # seconds until a connection without a whole request is ended
    send_timeout: float = 60.0  # seconds until a client that reads nothing is left
    client_requests: int = 0  # of one client, answered at once
    client_rate: float = 0.0  # requests of one client a second
    client_burst: int = 100  # requests that a client may make at once before its rate counts
    client_bytes: int = 0  # sent to one client a second
    server_timing: bool = False  # tell in a header where the time of an answer went
    access_log: str = ""  # a file, `-` for standard output; empty = none
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  # whose X-Forwarded-For is believed

    def policy(self) -> HostPolicy:
        """What holds at every host that `hosts` does not name."""
        return HostPolicy(self.trustless, self.fetch, self.only_pinned, self.dnslink)


@dataclass(frozen=True, slots=True)
class RpcConfig:
    """The part of Kubo's RPC that is built; for this machine's own tools."""

    host: str = "127.0.0.1"
    port: int = 5001
    auth: str = "never"  # or `always`: every request has to show the secret of the data folder


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The cluster REST API, which the command line uses."""

    host: str = "127.0.0.1"
    port: int = 9094
    auth: str = "admin"  # what gives power over the cluster has to show the secret; `always`: every request


@dataclass(frozen=True, slots=True)
class SwarmConfig:
    """The open IPFS network: Bitswap with anybody."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 4001
    peers: tuple[str, ...] = ()  # multiaddresses with /p2p/ to stay connected to
    max_connections: int = 96
    mdns: bool = False


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The members' private network and what they replicate."""

    host: str = "127.0.0.1"
    port: int = 9096
    announce: tuple[str, ...] = ()  # multiaddresses to put into invitations instead of the ones listened on
    peer_name: str = ""  # empty = the host's name
    mdns: bool = False
    replication_min: int = -1
    replication_max: int = -1
    concurrent_pins: int = 10
    pin_timeout: float = 120.0  # seconds without progress before a pin attempt fails
    batch_size: int = 1000  # pins gathered into one batch at most
    batch_age: float = 0.02  # seconds a pin waits for others to share its batch
    reconcile_interval: float = 300.0
    metric_interval: float = 15.0
    repin_grace: float = 300.0  # seconds a member may be gone before its pins are placed elsewhere
    allocate_by: tuple[str, ...] = ("tag:group", "freespace")
    tags: tuple[str, ...] = ("group=default",)


@dataclass(frozen=True, slots=True)
class NamesConfig:
    """IPNS and DNSLink."""

    resolver: str = ""  # IP address of a DNS server, with a port or without; empty = the system's
    static: tuple[str, ...] = ()  # `name:/ipfs/…` entries that override both
    timeout: float = 10.0  # seconds until a DNS look-up fails
    stale: float = 3600.0  # seconds that an answer past its TTL is served while a fresh one is looked up
    negative_ttl: float = 10.0  # seconds that "not found" is remembered


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    """Blocks from elsewhere than the networks."""

    gateways: tuple[str, ...] = ()  # URLs of trustless gateways, asked when nobody connected has a block


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Blocks on disk."""

    quota: int = 0  # bytes of blocks; 0 = as much as the disk holds, less `reserve`
    reserve: int = 512 * 1024 * 1024  # bytes of the disk that are never filled
    cache_share: float = 0.25  # of the room for blocks: what content may take that was read and is not pinned
    fast_malloc: bool = True  # keep freed memory while at work: faster reads of large blocks, some tens of MB


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the daemon tells on standard error."""

    level: str = "info"  # debug, info, warning, error
    format: str = "text"  # or json


@dataclass(frozen=True, slots=True)
class Config:
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    rpc: RpcConfig = field(default_factory=RpcConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    swarm: SwarmConfig = field(default_factory=SwarmConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    names: NamesConfig = field(default_factory=NamesConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    log: LogConfig = field(default_factory=LogConfig)


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Defaults, then the file if it exists, then PINFOLD_<SECTION>_<KEY>. Raises BadConfig, OSError."""
    config = Config()
    for section, table in tables(path).items():
        for name, value in table.items():
            config = _with(config, f"{section}.{name}", value, str(path))
    for key, text in _from_environment(environment):
        config = _with(config, key, text, "the environment")
    return config


def tables(path: Path) -> dict[str, dict[str, object]]:
    """The sections of the file as they stand there, if it exists. Raises BadConfig, OSError."""
    try:
        found = tomllib.loads(read_text(path)) if path.exists() else {}
    except (tomllib.TOMLDecodeError, BadText) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise BadConfig(f"{path} cannot be read: it is nested too deeply") from None
    for section, table in found.items():
        if not isinstance(table, dict):
            raise BadConfig(f'{path}: "{section}" is outside any section')
    return found


def _with(config: Config, key: str, value: object, source: str) -> Config:
    """Raises BadConfig that tells where the value is from."""
    try:
        return with_setting(config, key, value)
    except BadConfig as error:
        raise BadConfig(f"{source}: {error}") from None


def check(config: Config) -> None:
    """Raises BadConfig for settings that contradict each other: what a node asks before it starts.

    Reading them does not: two that belong together are written one after the other.
    """
    least, most = config.cluster.replication_min, config.cluster.replication_max
    if (least < 0) != (most < 0) or least > most:
        raise BadConfig(
            f"cluster.replication_min ({least}) and cluster.replication_max ({most}) do not fit: "
            "either both are -1 (every member), or both are at least 1 and min is at most max"
        )


def keys(config: Config | None = None) -> Iterator[tuple[str, Setting]]:
    """Every `section.key` with its value, in order; the defaults without a config."""
    for section in fields(config or Config()):
        table = getattr(config or Config(), section.name)
        for entry in fields(table):
            yield f"{section.name}.{entry.name}", getattr(table, entry.name)


def with_setting(config: Config, key: str, value: object) -> Config:
    """The same config with one `section.key` changed; text is read as its type. Raises BadConfig."""
    section_name, _, name = key.partition(".")
    section = getattr(config, section_name, None)
    if not is_dataclass(section) or name not in {entry.name for entry in fields(section)}:
        raise BadConfig(f'unknown setting "{key}"; `pinfold config show` lists them all')
    kind = get_type_hints(type(section))[name]
    converted = replace(section, **{name: _convert(key, kind, value)})  # type: ignore[type-var]  # an instance
    return replace(config, **{section_name: converted})  # type: ignore[arg-type]  # the name is data


def _convert(key: str, kind: object, value: object) -> Setting:
    convert, takes = _KINDS[kind]
    try:
        setting = convert(value)
    except (KeyError, TypeError, ValueError):
        raise BadConfig(f'setting "{key}" takes {takes}, not {value!r}') from None
    if bounds := broken_bounds(key, setting):
        raise BadConfig(f'setting "{key}" takes {bounds}, not {value!r}')
    return setting


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[str(value).lower()]


def _integer(value: object) -> int:
    if isinstance(value, bool | float):
        raise ValueError
    if not _WHOLE.fullmatch(str(value)):  # int() takes 8_0, 010 and digits of every script
        raise ValueError
    return int(str(value))


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError
    return float(str(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    value.encode()  # an argument or a variable that is not UTF-8 is a ValueError too
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in _text(value).split(",") if part.strip())
    if isinstance(value, list | tuple):
        return tuple(map(_text, value))
    raise ValueError


_KINDS: dict[object, tuple[Callable[[object], Setting], str]] = {
    bool: (_boolean, "true or false"),
    int: (_integer, "a whole number"),
    float: (_number, "a number"),
    str: (_text, "text in UTF-8"),
    tuple[str, ...]: (_texts, "a list of texts in UTF-8"),
}


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    known = {ENVIRONMENT_PREFIX + key.replace(".", "_").upper(): key for key, _ in keys()}
    # Other programs may keep variables of their own beside ours; a section's name in front makes it ours.
    sections = tuple(f"{ENVIRONMENT_PREFIX}{section.name.upper()}_" for section in fields(Config))
    for name, value in environment.items():
        if name in known:
            yield known[name], value
        elif name.startswith(sections):
            raise BadConfig(
                f"the environment's {name} names no setting: it is PINFOLD_SECTION_KEY, such as"
                " PINFOLD_GATEWAY_PORT; `pinfold config show` lists them all"
            )
