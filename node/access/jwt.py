"""JSON Web Tokens as ipfs-cluster has them: HMAC, and the claim `iss` (RFC 7515, RFC 7519).

The key is the secret of whom `iss` names. `exp`, `nbf` and `iat` hold where they are there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping

from node.access.errors import BadToken

MAX_BYTES = 4096
"""Of a whole token: three claims have some hundred."""

_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_HEADER = {"alg": "HS256", "typ": "JWT"}


def issue(issuer: str, key: bytes) -> str:
    """An HS256 token whose only claim is who asked for it; good for as long as the key is."""
    signed = f"{_encoded(_HEADER)}.{_encoded({'iss': issuer})}"
    return f"{signed}.{_text(hmac.digest(key, signed.encode(), 'sha256'))}"


def issuer_of(text: str) -> str:
    """Who it says that it was issued by; nothing is proved yet. Raises BadToken."""
    issuer = _claims(text).get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise BadToken("the token does not say who issued it")
    return issuer


def verify(text: str, key: bytes, now: float) -> bool:
    """Whether that key signed it, and `now` (seconds since 1970) is within its times."""
    signed, _, signature = text.rpartition(".")
    try:
        algorithm = _object(signed.partition(".")[0]).get("alg")
        digest = _HASHES[algorithm] if isinstance(algorithm, str) else None
        given, claims = _bytes(signature), _claims(text)
    except (BadToken, KeyError):
        return False
    if digest is None or not key:
        return False
    return hmac.compare_digest(given, hmac.digest(key, signed.encode(), digest)) and _is_now(claims, now)


def _is_now(claims: Mapping[str, object], now: float) -> bool:
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if claims.get(name) is not None}
    if any(isinstance(time, bool) or not isinstance(time, int | float) for time in times.values()):
        return False
    begins = [time for name, time in times.items() if name != "exp" and isinstance(time, int | float)]
    end = times.get("exp")
    return all(begin <= now for begin in begins) and (not isinstance(end, int | float) or now < end)


def _claims(text: str) -> Mapping[str, object]:
    parts = text.split(".", 3)
    if len(text) > MAX_BYTES or len(parts) != 3:
        raise BadToken("a JWT has three parts, and 4096 bytes at most")
    return _object(parts[1])


def _object(part: str) -> Mapping[str, object]:
    try:
        found = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        raise BadToken("a part of the token is no JSON") from None
    if not isinstance(found, dict):
        raise BadToken("a part of the token is no object")
    return found


def _bytes(part: str) -> bytes:
    """base64url without padding (RFC 7515, section 2)."""
    try:
        return base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken("a part of the token is not base64url") from None


def _encoded(value: Mapping[str, str]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
