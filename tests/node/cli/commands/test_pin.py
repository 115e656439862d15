"""Pin options on the command line: what no pin can have is a wrong call, before anything is read or sent."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from node.cli.exit_code import exit_code
from node.cli.main import cli


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--replication", "-2"), "replication"),
        (("--replication", "two"), "replication"),
        (("--replication-min", "3", "--replication-max", "2"), "replication 3 to 2"),
        (("--expire-in", "soon"), "expire-in"),
        (("--expire-in", "9999999h"), "expire-in"),
        (("--expire-in", "-1h"), "expire-in"),
        (("--expire-at", "2001-01-01T00:00:00Z"), "in the past"),
        (("--expire-at", "tomorrow"), "expire-at"),
        (("--expire-at", ""), "expire-at"),
        (("--expire-at", "2090-01-01T00:00:00Z", "--expire-in", "1h"), "give one of them"),
        (("--metadata", "=x"), "KEY=VALUE"),
        (("--metadata", "a=1", "--metadata", "a=2"), "twice"),
        (("--name", "n" * 256), "name"),
        (("--max-size", "large"), "not a size in bytes"),
        (("--max-size", "1.5"), "not a size in bytes"),
        (("--max-size", "-1"), "not a size in bytes"),
        (("--max-size", "99999TB"), "max-size"),
        (("--deadline", "soon"), "deadline"),
        (("--deadline", "2001-01-01T00:00:00Z"), "in the past"),
        (("--deadline", ""), "deadline"),
        (("--attempts", "few"), "attempts"),
        (("--attempts", "-1"), "attempts"),
    ],
)
def test_an_option_that_no_pin_can_have_is_a_wrong_call(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    (tmp_path / "x").write_bytes(b"not looked at")
    for verb in (
        ("add", str(tmp_path / "x")),
        ("pin", "add", "bafynotacid"),
        ("car", "import", str(tmp_path / "x")),
    ):
        with pytest.raises(click.UsageError, match=says) as refused:
            cli.main(["--path", str(tmp_path), *verb, *options], standalone_mode=False)
        assert exit_code(refused.value) == 2


def test_a_status_that_there_is_not_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match='"eror" is none of') as refused:
        cli.main(["--path", str(tmp_path), "status", "--filter", "pinned,eror"], standalone_mode=False)
    assert exit_code(refused.value) == 2
