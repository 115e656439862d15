"""Which options each command takes. One that is not honoured is an error: nothing is passed over in silence.

Kubo's clients send some with every call, and fill in their defaults: those that mean what is done anyway are
taken for that value, those that only their own output depends on for any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.http.errors import BadRequest

_TRUE = frozenset({"", "1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})

Values = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Options:
    """`read` are those that the command reads itself; `idle` change nothing that a node answers.

    `fixed` would change the answer, and are taken with the values alone that mean what is done anyway.
    """

    read: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()
    fixed: Values = field(default_factory=dict)

    def check(self, command: str, query: Mapping[str, str]) -> None:
        """Raises BadRequest, which names the option."""
        fixed = {**_EVERYWHERE_FIXED, **self.fixed}
        for name, value in query.items():
            if name in self.read or name in self.idle or name in _EVERYWHERE:
                continue
            if name not in fixed:
                raise BadRequest(f'option "{name[:64]}" of {command} is unknown, or not supported here')
            if value not in fixed[name]:
                raise BadRequest(f'option "{name}" of {command} cannot be "{value[:64]}" here: leave it out')


def _options(read: str = "", idle: str = "", either: str = "", off: str = "", on: str = "") -> Options:
    """Names between blanks; `off` and `on` are switches that have that value only, `either` both."""
    fixed = dict.fromkeys(off.split(), _FALSE) | dict.fromkeys(on.split(), _TRUE)
    fixed |= dict.fromkeys(either.split(), _TRUE | _FALSE)
    return Options(frozenset(read.split()), frozenset(idle.split()), fixed)


_EVERYWHERE = frozenset({"arg", "timeout", "stream-channels", "api", "api-auth", "debug"})
_EVERYWHERE_FIXED: Values = {
    "encoding": frozenset({"", "json"}),
    "offline": _FALSE,
    "local": _FALSE,
    "help": _FALSE,
    "h": _FALSE,
    "cid-base": frozenset({""}),
    "upgrade-cidv0-in-output": _FALSE,
}

OPTIONS: Mapping[str, Options] = {
    "bitswap/ledger": Options(),
    "bitswap/stat": _options(either="verbose human"),
    "bitswap/wantlist": _options(read="peer"),
    "block/get": _options(read="offline"),
    "block/put": _options(read="cid-codec format mhlen mhtype pin", off="allow-big-block"),
    "block/stat": _options(read="offline"),
    "cat": _options(read="length offset offline", either="progress"),
    "dag/export": _options(read="offline", either="progress", off="local-only"),
    "dag/import": _options(
        read="pin-roots stats",
        either="silent fast-provide-root fast-provide-dag fast-provide-wait",  # nothing is provided here
        off="allow-big-block local-only",
    ),
    "get": _options(read="compress offline", either="archive progress", idle="compression-level output"),
    "id": Options(idle=frozenset({"format"}), fixed={"peerid-base": frozenset({"", "b58mh"})}),
    "key/gen": _options(read="ipns-base size type"),
    "key/import": _options(read="format ipns-base", off="allow-any-key-type"),
    "key/list": _options(read="ipns-base", either="l"),
    "key/ls": _options(read="ipns-base", either="l"),
    "key/rename": _options(read="force ipns-base"),
    "key/rm": _options(read="ipns-base", either="l"),
    "ls": _options(read="offline resolve-type size stream", either="headers human", off="long sort-size"),
    "name/get": _options(),
    "name/publish": _options(
        read="ipns-base key lifetime resolve sequence ttl v1compat",
        either="quieter allow-offline allow-delegated",  # it is kept, and given away as soon as it can be
    ),
    "name/put": _options(either="quiet", off="force allow-offline allow-delegated"),
    "name/resolve": _options(on="recursive", off="nocache stream", idle="dht-record-count dht-timeout"),
    "ping": _options(read="count"),
    "provide/stat": _options(
        read="lan", either="all a compact connectivity network schedule timings workers operations queues"
    ),
    "repo/gc": _options(either="quiet silent stream-errors"),
    "repo/stat": _options(read="size-only", either="human"),
    "routing/findpeer": _options(off="verbose"),
    "routing/findprovs": _options(read="num-providers", off="verbose"),
    "routing/get": _options(off="verbose"),
    "routing/provide": _options(off="recursive verbose"),
    "routing/put": _options(off="verbose", either="allow-offline"),
    "swarm/addrs": _options(),
    "swarm/addrs/listen": _options(read="id"),
    "swarm/addrs/local": _options(read="id"),
    "swarm/connect": _options(),
    "swarm/disconnect": _options(),
    "swarm/peering/add": _options(),
    "swarm/peering/ls": _options(),
    "swarm/peering/rm": _options(),
    "swarm/peers": _options(off="verbose streams latency direction identify"),
    "version": _options(either="all commit number repo"),
}
