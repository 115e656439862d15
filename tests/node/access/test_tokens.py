"""Tokens: told once, kept as hashes, good until they are revoked, over restarts."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from node.access.errors import BadToken, BadTokenFile, TokenExists, UnknownToken
from node.access.rights import Right, TokenScope
from node.access.token import PREFIX
from node.access.tokens import read_tokens


async def test_a_token_is_found_by_its_text_until_it_is_revoked(tmp_path: Path) -> None:
    tokens = read_tokens(tmp_path / "access.json")
    token, text = await tokens.create("wall", TokenScope.READ)
    assert (tokens.find(text), tokens.find(text[:-1]), tokens.find("")) == (token, None, None)
    assert text.startswith(PREFIX)
    assert await tokens.revoke("wall") == token
    assert tokens.find(text) is None
    with pytest.raises(UnknownToken, match=r'no token "wall".*pinfold token list'):
        await tokens.revoke("wall")


async def test_tokens_outlive_the_process_and_their_texts_are_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    tokens = read_tokens(path)
    made = [await tokens.create(f"t{n}", TokenScope.PIN, "alice") for n in range(3)]
    await tokens.revoke("t1")
    again = read_tokens(path)
    assert [again.find(text) for _, text in made] == [made[0][0], None, made[2][0]]
    assert again.all() == [made[0][0], made[2][0]]
    assert not any(text in path.read_text() for _, text in made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_no_token_can_be_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    tokens = read_tokens(tmp_path / "access.json")
    for name in ("", "a b", "-x", "../x", "ä", "x" * 65, "a/b", "a\n"):
        with pytest.raises(BadToken, match="letters, digits"):
            await tokens.create(name, TokenScope.READ)
        with pytest.raises(BadToken, match="letters, digits"):
            await tokens.create("fine", TokenScope.PIN, name or "/")
    with pytest.raises(BadToken, match="leave one of the two out"):
        await tokens.create("boss", TokenScope.ADMIN, "alice")
    assert tokens.all() == []
    assert not (tmp_path / "access.json").exists()


async def test_a_name_is_taken_once(tmp_path: Path) -> None:
    tokens = read_tokens(tmp_path / "access.json")
    _, text = await tokens.create("wall", TokenScope.READ)
    with pytest.raises(TokenExists, match="revoke it first"):
        await tokens.create("wall", TokenScope.ADMIN)
    found = tokens.find(text)
    assert found is not None
    assert found.scope is TokenScope.READ


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version":1}', '{"version":1,"tokens":[{}]}', "\0", '{"version":2,"tokens":[]}'],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "access.json"
    path.write_text(text)
    with pytest.raises(BadTokenFile, match=r"access\.json"):
        read_tokens(path)


async def test_a_file_that_names_what_no_token_can_be_gives_no_rights(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    await read_tokens(path).create("wall", TokenScope.READ, "alice")
    fields = json.loads(path.read_text())
    fields["tokens"][0] |= {"scope": "admin"}
    path.write_text(json.dumps(fields))
    with pytest.raises(BadTokenFile, match="an admin is limited to no owner"):
        read_tokens(path)


@pytest.mark.parametrize("wrong", [{"sha256": ""}, {"sha256": "00"}, {"created": 1e999}])
async def test_a_file_with_a_token_that_nobody_could_show_is_refused(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    path = tmp_path / "access.json"
    await read_tokens(path).create("wall", TokenScope.READ)
    fields = json.loads(path.read_text())
    fields["tokens"][0] |= wrong
    path.write_text(json.dumps(fields))
    with pytest.raises(BadTokenFile, match="no hash, or was made at no time"):
        read_tokens(path)


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "access.json").mkdir()
    with pytest.raises(BadTokenFile, match=r"access\.json"):
        read_tokens(tmp_path / "access.json")


def test_rights_are_in_one_order() -> None:
    assert [scope.right for scope in TokenScope] == [Right.READ, Right.PIN, Right.POWER]
    assert sorted(Right) == [Right.NONE, Right.READ, Right.PIN, Right.UPKEEP, Right.POWER]


async def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    tokens = read_tokens(folder / "access.json")
    token, text = await tokens.create("wall", TokenScope.READ)
    (folder / "access.json").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        await tokens.create("other", TokenScope.ADMIN)
    with pytest.raises(FileNotFoundError):
        await tokens.revoke("wall")
    assert tokens.all() == [replace(token)]
    assert tokens.find(text) == token
