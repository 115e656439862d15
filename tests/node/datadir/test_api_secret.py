"""The secret of a data folder: made once, for its owner alone, and told from what is nearly it."""

import base64
import stat
from pathlib import Path

import pytest

from node.datadir.api_secret import ApiSecret, BadSecret, made_secret, read_secret

TEXT = "s" * 40


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_it_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.secret"
    made = made_secret(path)
    text = read_secret(path)
    assert made.matches(text)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made_secret(path).matches(text)
    assert text not in repr(made)
    assert [file.name for file in tmp_path.iterdir()] == ["api.secret"]


def test_nothing_else_matches() -> None:
    for text in ("", TEXT[:-1], TEXT + "x", f" {TEXT}", "\udcff"):
        assert not ApiSecret(TEXT).matches(text)


@pytest.mark.parametrize("text", ["", "short", "a" * 31, "a" * 600, "a" * 20 + " " + "a" * 20, "ä" * 40])
def test_a_file_that_holds_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "api.secret"
    path.write_text(text)
    with pytest.raises(BadSecret, match=r"api\.secret does not hold a secret.*remove it"):
        made_secret(path)


def test_one_that_an_editor_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "api.secret"
    path.write_bytes(TEXT.encode() + b"\r\n")
    assert read_secret(path) == TEXT
