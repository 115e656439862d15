"""What shows a receiver that a post is of this node, and when it was made (HMAC-SHA-256, RFC 2104)."""

from __future__ import annotations

import hmac

HEADER = "Pinfold-Signature"


def signature(secret: str, at: int, body: bytes) -> str:
    """The header's value. `at`: seconds since 1970, signed too, so that no old post can be used again.

    A receiver makes the same of the secret, of `t`, a full stop and the body, and compares it with `v1`.
    """
    made = hmac.digest(secret.encode(), b"%d.%b" % (at, body), "sha256")
    return f"t={at},v1={made.hex()}"
