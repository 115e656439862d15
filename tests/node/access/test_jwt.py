"""Sessions (JWT): what RFC 7515's own example says, what was changed, and times."""

import base64
import hashlib
import hmac
import json

import pytest

from node.access.errors import BadToken
from node.access.jwt import issue, issuer_of, verify

KEY = b"k" * 32
# RFC 7515, appendix A.1
RFC_KEY = base64.urlsafe_b64decode(
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
)
RFC_TOKEN = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)


def made(header: object, claims: object, key: bytes = KEY, hash_name: str = "sha256") -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)
    ]
    signature = hmac.new(key, ".".join(parts).encode(), getattr(hashlib, hash_name)).digest()
    return ".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=").decode()])


def test_the_example_of_the_specification() -> None:
    assert issuer_of(RFC_TOKEN) == "joe"
    assert verify(RFC_TOKEN, RFC_KEY, 1300819379)
    assert not verify(RFC_TOKEN, RFC_KEY, 1300819380)
    assert not verify(RFC_TOKEN, RFC_KEY + b"x", 1300819379)


def test_what_is_issued_verifies_with_that_key_alone() -> None:
    token = issue("bob", KEY)
    assert (issuer_of(token), verify(token, KEY, 0)) == ("bob", True)
    assert not verify(token, b"", 0)
    assert not any(verify(token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :], KEY, 0)
                   for n in range(len(token) - 1) if token[n] != ".")  # fmt: skip


@pytest.mark.parametrize("bits", [256, 384, 512])
def test_every_hash_of_the_family_is_taken(bits: int) -> None:
    assert verify(made({"alg": f"HS{bits}"}, {"iss": "bob"}, hash_name=f"sha{bits}"), KEY, 0)


@pytest.mark.parametrize("alg", ["none", "None", "RS256", "HS1", "", None, 256, ["HS256"]])
def test_no_other_algorithm_is(alg: object) -> None:
    assert not verify(made({"alg": alg}, {"iss": "bob"}), KEY, 0)


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": 11}, True), ({"exp": 10}, False), ({"nbf": 10}, True), ({"nbf": 11}, False),
        ({"iat": 11}, False), ({"exp": None}, True), ({"exp": "11"}, False), ({"nbf": True}, False),
        ({"exp": 12.5, "nbf": 1, "iat": 2}, True),
    ],
)  # fmt: skip
def test_times_hold_where_they_are_there(claims: dict[str, object], good: bool) -> None:
    assert verify(made({"alg": "HS256"}, {"iss": "bob", **claims}), KEY, 10) is good


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c", "a.b.c.d", "é.e30.e30", "e30.e30.", made({}, []), made({}, {"iss": ""}),
             made({}, {"iss": 5}), "x" * 5000]
)  # fmt: skip
def test_what_says_no_issuer_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        issuer_of(text)
    assert not verify(text, KEY, 0)
