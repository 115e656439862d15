"""Who may call the listeners for admins: by the host that is asked for, and by the secret that is shown."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from dataclasses import dataclass, field
from functools import lru_cache

from aiohttp import web
from multidict import CIMultiDict

from node.access.caller import ANYBODY, Caller
from node.access.credentials import Credentials, is_ours
from node.access.rights import Right
from node.errors import NodeError
from node.http.limits.addresses import key_of, parse
from node.http.limits.admission import RequestAdmission, RequestLimits, TooManyRequests

ALWAYS = "always"
"""The value of `api.auth` and `rpc.auth` that asks for the secret on every route."""

ELSEWHERE = "elsewhere"
"""The value of `api.tls` and its like that says that something else encrypts what is sent."""

_WRONG_A_SECOND, _WRONG_AT_ONCE = 1.0, 20  # of one client's wrong secrets that are answered as such
_MAX_NAME = 262  # characters of a host name with its port
_CHALLENGES = (
    ("WWW-Authenticate", 'Bearer realm="Pinfold"'),
    ("WWW-Authenticate", 'Basic realm="Pinfold", charset="UTF-8"'),
)
_ADVICE = (
    "send a token (`pinfold token create`) or the secret of the node's data folder (api.secret) as a Bearer"
    " token, or as the password of any user; `pinfold` does so by itself where it may read that file"
)
_SCOPES = {Right.READ: "read, pin or admin", Right.PIN: "pin or admin"}

_log = logging.getLogger(__name__)


class OpenToOthers(NodeError):
    """A listener for admins that other machines could reach, and that asks no caller for a secret."""


@dataclass(frozen=True, slots=True)
class CallerRefused:
    """Why a caller is sent away, for the face to put into its form."""

    status: int
    text: str
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)


class Callers:
    """Knows who may use one listener.

    `host` is the one it is set to listen on. `local`: only this machine reaches it; then it answers to
    names of this machine alone, or a page could have its own name lead here and read along (DNS rebinding).
    `always`: every request has to show the secret, and not only one that gives power over the cluster.
    """

    def __init__(self, credentials: Credentials, host: str, *, always: bool, local: bool = True) -> None:
        self._credentials = credentials
        self._host = host.lower()
        self._always = always
        self._local = local
        self._wrong = RequestAdmission(
            RequestLimits(client_rate=_WRONG_A_SECOND, client_burst=_WRONG_AT_ONCE)
        )

    def refusal(self, request: web.Request, needed: Right, *, probe: bool = False) -> CallerRefused | None:
        """None for who may go on: then CALLER of the request says who it is. Without, it is not known.

        `probe`: whether the node lives is asked, which every caller is told, as upstream has it.
        """
        if self._local and not _by_socket(request) and (stranger := self._foreign_name(request)):
            return CallerRefused(
                403,
                f'this listener is for this machine and not for the host "{stranger[:100]}": ask for '
                "127.0.0.1 or localhost (a proxy in front has to send such a Host)",
            )
        if probe:
            request[CALLER] = ANYBODY
            return None
        return self._unproven(request, needed)

    def _foreign_name(self, request: web.Request) -> str:
        return next((name for name in _authorities(request) if name and not self._is_here(name)), "")

    def _is_here(self, authority: str) -> bool:
        name = _name_of(authority) if len(authority) <= _MAX_NAME else ""
        return bool(name) and (name in ("localhost", self._host) or is_loopback(name))

    def _unproven(self, request: web.Request, needed: Right) -> CallerRefused | None:
        """What is shown is looked at even where nothing has to be: it may limit who shows it."""
        shown = request.headers.getall("Authorization", [])
        caller = self._credentials.caller(shown[0]) if len(shown) == 1 else None
        if caller is None and not self._always and needed <= ANYBODY.right and not any(map(is_ours, shown)):
            caller = ANYBODY
        if caller is None:
            return self._wrong_one(request.remote or "") if shown else _nothing_shown()
        request[CALLER] = caller
        return None if needed <= caller.right else _too_little(caller, needed)

    def _wrong_one(self, remote: str) -> CallerRefused:
        try:
            self._wrong.leave(self._wrong.enter(key_of(parse(remote))))
        except TooManyRequests as error:
            headers = CIMultiDict({"Retry-After": str(error.retry_after)})
            return CallerRefused(429, "too many wrong credentials came from this address", headers)
        _log.warning("a wrong credential came from %s", remote)
        return CallerRefused(
            401, f"the credential is not that of this node: {_ADVICE}", CIMultiDict(_CHALLENGES)
        )


CALLERS = web.AppKey("callers", Callers)
CALLER = web.RequestKey("caller", Caller)
"""Who makes a request; missing while that is not known."""


def _nothing_shown() -> CallerRefused:
    return CallerRefused(401, f"no credential was sent: {_ADVICE}", CIMultiDict(_CHALLENGES))


def _too_little(caller: Caller, needed: Right) -> CallerRefused:
    return CallerRefused(
        403,
        f'the token "{caller.name}" does not go that far, and nothing was changed: this needs one with scope '
        f"{_SCOPES.get(needed, 'admin')}",
    )


async def check_listener(section: str, host: str, auth: str) -> bool:
    """Whether only this machine can reach a listener for admins on that host. Raises OpenToOthers."""
    if local := await _all_loopback(host):
        return local
    if auth != ALWAYS:
        raise OpenToOthers(
            f'{section}.host "{host}" is not on the loopback interface, so others could do with this node as '
            f"they like: ask for a credential with `pinfold config set {section}.auth always` "
            f"(the secret in api.secret of the data folder), or set {section}.host to 127.0.0.1"
        )
    return local


def check_secrecy(section: str, host: str, tls: str) -> None:
    """Of a listener without a certificate that other machines reach. Raises OpenToOthers."""
    if tls != ELSEWHERE:
        raise OpenToOthers(
            f'{section}.host "{host}" is not on the loopback interface, so what callers show would travel in'
            f" the clear: set {section}.ssl_cert_file and {section}.ssl_key_file, or {section}.host to "
            "127.0.0.1; where a proxy or a network of your own encrypts it, "
            f"`pinfold config set {section}.tls elsewhere`"
        )


def is_loopback(host: str) -> bool:
    address = parse(f"[{host}]" if ":" in host else host)
    return address is not None and address.is_loopback


async def _all_loopback(host: str) -> bool:
    """Whether every address that a host stands for is; one that stands for none is left to who binds it."""
    if not host:
        return False
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return True
    return all(ipaddress.ip_address(at[4][0]).is_loopback for at in found)


def _by_socket(request: web.Request) -> bool:
    """Whether it came by a Unix socket, which no page can make a browser open."""
    return isinstance(request.get_extra_info("sockname"), str)


def _authorities(request: web.Request) -> tuple[str, str]:
    """Host, and the host of an absolute request line; HTTP/1.0 may have neither."""
    raw = request.raw_path
    line = "" if raw.startswith("/") else raw.partition("://")[2].partition("/")[0].partition("?")[0]
    return request.headers.get("Host", "").strip(), line


@lru_cache(1024)
def _name_of(authority: str) -> str:
    return _host_of(authority).lower().removesuffix(".")


def _host_of(authority: str) -> str:
    """Without its port; empty for what is none."""
    if authority.startswith("["):
        host, bracket, port = authority[1:].partition("]")
        fits = bool(bracket) and (not port or port.startswith(":"))
        return host if fits and _is_port(port[1:]) else ""
    host, _, port = authority.partition(":")
    return host if _is_port(port) else ""


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and int(text[:9]) < 65_536)
