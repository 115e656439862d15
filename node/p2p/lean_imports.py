"""Imports the parts of py-libp2p that we use, without the rest of it.

`import libp2p` runs `libp2p/__init__.py`, which pulls QUIC (aioquic), WebSocket, WebRTC, ACME (httpx,
requests), mDNS (zeroconf), UPnP and more: 530 ms and 62 MB for things this node never uses. We use
noise, yamux, pubsub, peer, crypto, identity and io, and those need none of that. So the packages whose
`__init__` only gathers other people's names are put into `sys.modules` unexecuted: their submodules are
found as ever, by `__path__`. One class is named in a type of `libp2p.custom_types`; an empty placeholder
stands in for it.

It holds for the exactly pinned libp2p; `tests/node/p2p/test_lean.py` fails when that stops being so.
Where libp2p has been imported already, nothing is changed: everything works the same, only bigger.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

_BARE = (
    "libp2p",  # every transport, security and discovery there is
    "libp2p.network",  # the auto-connector and pruner of the stock swarm
    "libp2p.security",  # TLS
    "libp2p.transport",  # the transport manager: QUIC, WebSocket
    "libp2p.transport.quic",
)
_PLACEHOLDER = "libp2p.transport.quic.stream"


def install() -> None:
    """Make `import libp2p.x` cheap from now on. Idempotent."""
    if "libp2p" in sys.modules:
        return
    for name in _BARE:
        _add(name, _unexecuted(name))
    placeholder = ModuleType(_PLACEHOLDER)
    placeholder.__dict__["QUICStream"] = type("QUICStream", (), {})
    _add(_PLACEHOLDER, placeholder)


def _unexecuted(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}: install Pinfold's dependencies", name=name)
    return importlib.util.module_from_spec(spec)


def _add(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
