"""What callers show: the secret, tokens, and what was signed with either; everything else is nobody."""

import base64
from pathlib import Path

import pytest

from node.access.caller import Proof
from node.access.credentials import Credentials, is_ours
from node.access.jwt import issue
from node.access.rights import Right, TokenScope
from node.access.tokens import Tokens, read_tokens
from node.datadir.api_secret import ApiSecret

TEXT = "s" * 40


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return read_tokens(tmp_path / "access.json")


@pytest.mark.parametrize(
    "shown",
    [f"Bearer {TEXT}", f"bearer  {TEXT} ", basic(f"pinfold:{TEXT}"), basic(f":{TEXT}"), basic(f"u:{TEXT}")],
)
def test_the_secret_is_shown_as_a_token_or_as_the_password_of_anybody(tokens: Tokens, shown: str) -> None:
    caller = Credentials(ApiSecret(TEXT), tokens).caller(shown)
    assert caller is not None
    assert (caller.proof, caller.right) == (Proof.SECRET, Right.POWER)
    assert TEXT not in repr(caller)


@pytest.mark.parametrize(
    "shown",
    [
        "", "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic \udcff", "Bearer \udcff", f"Digest {TEXT}",
        TEXT, f"Bearer {TEXT}x", f"Bearer {TEXT[:-1]}", f"Basic {TEXT}", basic(TEXT), basic(f"{TEXT}:"),
        basic(f"pinfold:{TEXT}:"), basic(""), f"Bearer Bearer {TEXT}", "Bearer a.b.c", "Bearer ..",
        basic("x:"),
    ],
)  # fmt: skip
def test_nothing_else_is_taken(tokens: Tokens, shown: str) -> None:
    assert Credentials(ApiSecret(TEXT), tokens).caller(shown) is None


async def test_a_token_is_shown_in_either_way_and_has_its_own_rights(tokens: Tokens) -> None:
    credentials = Credentials(ApiSecret(TEXT), tokens)
    token, text = await tokens.create("bot", TokenScope.PIN, "alice")
    for shown in (f"Bearer {text}", basic(f"bot:{text}"), basic(f"anybody:{text}")):
        caller = credentials.caller(shown)
        assert caller is not None
        assert (caller.proof, caller.right) == (Proof.TOKEN, Right.PIN)
        assert (caller.name, caller.owner) == ("bot", "alice")
        assert text not in repr(caller)
        assert repr(token.digest) not in repr(caller)


async def test_a_session_is_as_good_as_what_it_was_asked_for_with(tokens: Tokens) -> None:
    credentials = Credentials(ApiSecret(TEXT), tokens)
    _, text = await tokens.create("bot", TokenScope.READ)
    caller = credentials.caller(f"Bearer {text}")
    assert caller is not None
    session = f"Bearer {issue(caller.name, caller.key)}"
    assert credentials.caller(session) == caller
    await tokens.revoke("bot")
    assert credentials.caller(session) is None


async def test_who_signs_in_the_name_of_a_token_needs_its_key(tokens: Tokens) -> None:
    credentials = Credentials(ApiSecret(TEXT), tokens)
    await tokens.create("bot", TokenScope.READ)
    assert credentials.caller(f"Bearer {issue('bot', b'guess')}") is None
    assert credentials.caller(f"Bearer {issue('bot', b'')}") is None
    owner = credentials.caller(f"Bearer {issue('bot', TEXT.encode())}")
    assert owner is not None
    assert owner.proof is Proof.SECRET  # who has the secret may call itself anything


def test_basic_for_a_proxy_or_another_peer_is_not_meant_for_this_node() -> None:
    assert [is_ours(shown) for shown in (basic("a:b"), "Basic !!", "basic x")] == [False] * 3
    assert [is_ours(shown) for shown in ("Bearer x", "Negotiate x", "x", basic("a:pft_x"))] == [True] * 4
