"""What a setting must be beyond its type, so that a wrong one is reported before the node starts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from cluster.common.address import Address
from cluster.common.names import as_name
from cluster.errors import BadAddress
from node.config.bandwidth_limits import BadLimits, read_limits
from node.config.host_policy import WORDS, BadHostPolicy, HostPolicy, read_hosts

Setting = bool | int | float | str | tuple[str, ...]
_Bound = tuple[Callable[[Setting], bool], str]


def broken_bounds(key: str, value: Setting) -> str:
    """What the setting `section.name` takes, when this value is outside of it; else empty."""
    fits, takes = (
        _BOUNDS.get(key) or _BOUNDS.get(key.partition(".")[2]) or _BY_TYPE.get(type(value), _ANYTHING)
    )
    return "" if fits(value) else takes


def _between(least: float, most: float) -> Callable[[Setting], bool]:
    return lambda value: isinstance(value, int | float) and least <= value <= most


def _each(pattern: str) -> Callable[[Setting], bool]:
    fits = re.compile(pattern).fullmatch
    return lambda values: isinstance(values, tuple) and all(map(fits, values))


def _one_of(*words: str) -> _Bound:
    return lambda value: value in words, " or ".join(words)


def _addresses(*, named: bool) -> Callable[[Setting], bool]:
    """Multiaddresses of peers; `named`: each must end in /p2p/ and a peer id."""

    def fits(values: Setting) -> bool:
        try:
            parsed = [Address.parse(text) for text in values] if isinstance(values, tuple) else []
        except BadAddress:
            return False
        return all(address.port and (address.peer or not named) for address in parsed)

    return fits


def _servers(values: Setting) -> bool:
    """As `swarm.peers`, or names that lead to such addresses: `/dnsaddr/<name>/p2p/<peer id>`."""
    if not isinstance(values, tuple):
        return False
    direct = [text.replace("/dnsaddr/", "/dns/", 1).replace("/p2p/", "/tcp/1/p2p/", 1) for text in values]
    shown = (
        plain if text.startswith("/dnsaddr/") else text for text, plain in zip(values, direct, strict=True)
    )
    return _addresses(named=True)(tuple(shown))


def _name(value: Setting) -> bool:
    return isinstance(value, str) and as_name(value) == value


def _path(value: Setting) -> bool:
    return isinstance(value, str) and "\0" not in value


def _socket_path(value: Setting) -> bool:
    """A Unix socket's path has 107 bytes on Linux, 103 elsewhere."""
    return isinstance(value, str) and (not value or value.startswith("/")) and len(value.encode()) <= 100


def _listened(value: Setting) -> bool:
    """A host to listen on. Other names would end in the resolver, some of them as a bug."""
    if not isinstance(value, str):
        return False
    try:
        return not value or bool(ipaddress.ip_address(value))
    except ValueError:
        labels = value.removesuffix(".").split(".")
        return bool(_HOST.fullmatch(value)) and len(value) < 254 and all(len(label) < 64 for label in labels)


def _networks(texts: Setting) -> bool:
    try:
        return isinstance(texts, tuple) and all(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError:
        return False


def _hosts(entries: Setting) -> bool:
    try:
        read_hosts(entries if isinstance(entries, tuple) else (), HostPolicy())
    except BadHostPolicy:
        return False
    return True


def _limits(entries: Setting) -> bool:
    try:
        read_limits(entries if isinstance(entries, tuple) else ())
    except BadLimits:
        return False
    return True


def _urls(urls: Setting) -> bool:
    return isinstance(urls, tuple) and all(_URL.fullmatch(url) and _has_port(url) for url in urls)


def _hooks(urls: Setting) -> bool:
    return isinstance(urls, tuple) and all(re.fullmatch(_HOOK, url) and _has_port(url) for url in urls)


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:  # a port that there is not
        return False


_LARGEST = float(2**63 - 1)  # also leaves out infinity and what is no number
_HOST_NAME = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?"
_HOST = re.compile(_HOST_NAME)
_URL = re.compile(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?(/[!-\"$->@-~]*)?", re.ASCII)

_HOOK = r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][!-\"$-~]*)?"
_SECRET = 16

_ANYTHING: _Bound = (lambda value: True, "")
_AT_LEAST_ONE: _Bound = (_between(1, _LARGEST), "a number of at least 1")
_COPIES: _Bound = (
    lambda value: value == -1 or _between(1, _LARGEST)(value),
    "a number of copies, or -1 for every member",
)
_BY_TYPE: dict[type, _Bound] = {
    int: (_between(0, _LARGEST), "a number that is not negative"),
    float: (_between(0, _LARGEST), "a number that is not negative"),
}
# By key, or by a name that means the same in every section.
_BOUNDS: dict[str, _Bound] = {
    "port": (_between(0, 65535), "a port: 1 to 65535, or 0 for any free one"),
    "host": (_listened, "an IP address or a host name; empty: every address"),
    "gateway.access_log": (lambda path: "\0" not in str(path), "a path, - or nothing"),
    "gateway.subdomain_hosts": (_each(_HOST_NAME), "host names without a port, such as gw.example.org"),
    "gateway.hosts": (_hosts, f"hosts, each once, with words behind it that do not contradict: {WORDS}"),
    "audit.keep_mib": (_between(0, 1 << 20), "a number of MiB, or 0 for no records"),
    "log.level": _one_of("debug", "info", "warning", "error"),
    "log.format": _one_of("text", "json"),
    "api.socket": (_socket_path, "an absolute path of at most 100 bytes"),
    "api.cors_origins": (_each(r"\*|https?://[^/\s,*]+"), "a list of origins (https://host), or *"),
    "api.auth": _one_of("admin", "always"),
    **dict.fromkeys(("rpc.tls", "api.tls", "pinning.tls"), _one_of("required", "elsewhere")),
    **dict.fromkeys(("ssl_cert_file", "ssl_key_file"), (_path, "a path, or nothing")),
    "rpc.auth": _one_of("never", "always"),
    "webhooks.urls": (_hooks, "a list of URLs such as https://example.org/hook"),
    "webhooks.secret": (
        lambda text: not text or len(str(text)) >= _SECRET,
        f"a text of {_SECRET} characters at least, or nothing",
    ),
    "webhooks.types": (_each("pin|status|member|alert|job"), "a list of pin, status, member, alert, job"),
    "metrics.auth": _one_of("never", "always"),
    "gateway.client_burst": _AT_LEAST_ONE,
    "gateway.trusted_proxies": (_networks, "IP addresses, or networks such as 10.0.0.0/8"),
    "swarm.peers": (_addresses(named=True), "addresses such as /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo..."),
    "swarm.peer_bytes": (
        lambda value: value == 0 or _between(16_384, _LARGEST)(value),
        "bytes a second, at least 16384, or 0 for no limit",
    ),
    "swarm.peer_wants": (_between(64, 131_072), "a number of blocks, from 64 to 131072"),
    "cluster.announce": (_addresses(named=False), "addresses such as /ip4/192.0.2.7/tcp/9096"),
    "network.limits": (
        _limits,
        "entries such as `open up 2MiB` or `members down none 22:00-06:00`, 64KiB at least, no time twice",
    ),
    "retrieval.gateways": (_urls, "a list of URLs such as https://gateway.example.org"),
    "routing.routers": (_urls, "a list of URLs such as https://router.example.org"),
    "provide.strategy": _one_of("all", "pinned", "roots", "none"),
    "routing.bootstrap": (
        _servers,
        "addresses such as /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo..., or /dnsaddr/...",
    ),
    "routing.dht": _one_of("off", "client", "server"),
    "storage.cache_share": (_between(0, 1), "a share of the room for blocks, from 0 to 1"),
    "storage.profile": _one_of("standard", "edge"),
    "storage.gc_high": (_between(0, 1), "a share of the room for blocks, from 0 to 1"),
    "storage.gc_low": (_between(0, 1), "a share of the room for blocks, from 0 to 1"),
    "storage.scrub_share": (_between(0, 1), "a share of the disk's time, from 0 to 1"),
    "cluster.replication_min": _COPIES,
    "cluster.replication_max": _COPIES,
    "cluster.peer_name": (_name, "a name of at most 255 characters, none of which is a control character"),
    "gateway.first_byte_timeout": _AT_LEAST_ONE,
    "gateway.idle_timeout": _AT_LEAST_ONE,
    "names.follow": (_between(0.1, 86_400), "seconds, from 0.1 to 86400 (a day)"),
    "names.republish": (_between(1, 86_400), "seconds, from 1 to 86400 (a day)"),
    "cluster.concurrent_pins": _AT_LEAST_ONE,
    "cluster.batch_size": _AT_LEAST_ONE,
    "cluster.repin_rate": (_between(0.01, 10_000), "a number of pins a second, 0.01 to 10000"),
    "cluster.log_keep_days": (_between(0.01, 36_500), "a number of days, at least 0.01"),
    "cluster.allocate_by": (_each("freespace|pinqueue|tag:.+"), "a list of freespace, pinqueue and tag:NAME"),
    "cluster.tags": (_each(r"[^=\s]+=.+"), "a list of NAME=VALUE"),
}
