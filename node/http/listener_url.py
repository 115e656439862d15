"""The URL at which a listener can be opened from this machine."""

from __future__ import annotations

_EVERY_ADDRESS = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}


def listener_url(host: str, port: int, *, tls: bool = False) -> str:
    """`http://[::1]:8080`, with `tls` https; for a listener on every address, the loopback one."""
    host = _EVERY_ADDRESS.get(host, host)
    if ":" in host:
        host = f"[{host.replace('%', '%25')}]"  # RFC 6874: the zone of a link-local address
    return f"{'https' if tls else 'http'}://{host}:{port}"
