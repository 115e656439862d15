"""What a person does wrong, or finds wrong, at a running node: one clear line, an exit code, nothing left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import (
    beginning,
    bytes_stored,
    daemon,
    ended,
    has_open,
    here,
    pinfold,
    pins,
    stopped,
    until,
)

ABSENT = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
BAD_CID = "bafynotacid"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("bad-input") / "alone", "--offline") as running:
        yield running


@pytest.fixture
def unpinned(node: NodeProcess) -> Iterator[NodeProcess]:
    """The node; what the test does must leave no pin behind."""
    before = pins(node)
    yield node
    assert pins(node) == before


def tree(tmp_path: Path) -> Path:
    """A folder whose second entry cannot be read, by root neither."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a picture")
    (folder / "b.jpg").symlink_to("b.jpg")
    return folder


def test_an_unreadable_file_is_named_and_nothing_of_the_folder_is_pinned(
    unpinned: NodeProcess, tmp_path: Path
) -> None:
    folder = tree(tmp_path)
    said = pinfold("add", "-r", "--dereference-symlinks", str(folder), path=unpinned.folder)
    said.complains("cannot read", f"{folder}/b.jpg", "symbolic links")
    assert pinfold("add", str(tmp_path / "none"), path=unpinned.folder).err == (
        f'Error: cannot read "{tmp_path}/none": No such file or directory\n'
    )


def test_a_file_that_fails_while_it_is_read_is_named(unpinned: NodeProcess) -> None:
    pinfold("add", "/proc/self/mem", path=unpinned.folder).complains(
        'cannot read "/proc/self/mem": Input/output error'
    )


def test_a_file_that_vanishes_in_the_middle_of_an_add_breaks_it_off(
    unpinned: NodeProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with (folder / "a.bin").open("wb") as large:
        large.truncate(64 << 20)
    (folder / "b.txt").write_text("soon gone")
    assert unpinned.process is not None
    with stopped(unpinned.process):  # so that the add is certainly not past the first file
        adding = beginning("add", "-r", "-Q", str(folder), path=unpinned.folder)
        until("reading the first file", lambda: has_open(adding, folder / "a.bin"))
        (folder / "b.txt").unlink()
    said = ended(adding)
    said.complains(f'cannot read "{folder}/b.txt": No such file or directory')
    assert said.out == ""


@pytest.mark.parametrize(
    "arguments",
    [("cat", BAD_CID), ("get", BAD_CID), ("ls", BAD_CID), ("pin", "add", BAD_CID), ("pin", "rm", BAD_CID),
     ("pin", "ls", BAD_CID), ("status", BAD_CID), ("car", "export", BAD_CID)],
    ids=" ".join,
)  # fmt: skip
def test_a_bad_cid_is_quoted(
    unpinned: NodeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    pinfold(*arguments, path=unpinned.folder).complains(f'invalid CID "{BAD_CID}"')
    assert list(tmp_path.iterdir()) == []


def test_content_that_nobody_has_is_an_error_and_no_file(unpinned: NodeProcess, tmp_path: Path) -> None:
    for arguments in (("get", ABSENT), ("car", "export", ABSENT)):
        said = pinfold(*arguments, "-o", str(tmp_path / "out"), path=unpinned.folder)
        said.complains(f"block {ABSENT} not found")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_pinned_cannot_be_unpinned_or_listed(unpinned: NodeProcess) -> None:
    for verb in ("rm", "ls"):
        said = pinfold("pin", verb, ABSENT, path=unpinned.folder)
        said.complains(f"{ABSENT}: pin is not part of the pinset")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "--chunker", "huge", "x"), 'chunker "huge" is unknown'),
        (("add", "--hash", "md4", "x"), 'hash function "md4" is unknown'),
        (("add", "--raw-leaves=maybe", "x"), "'maybe' is not a valid boolean"),
        (("add", "--metadata", "colour", "x"), "--metadata takes KEY=VALUE"),
        (("add", "--no-such-option", "x"), "No such option '--no-such-option'"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("cat",), "Missing argument"),
        (("daemon", "--gateway-port", "70000"), "at most 65535"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_wrong_call_is_exit_code_2(unpinned: NodeProcess, arguments: tuple[str, ...], says: str) -> None:
    pinfold(*arguments, path=unpinned.folder).complains(says, code=2)


def test_without_a_daemon_the_message_says_how_to_start_one(tmp_path: Path) -> None:
    said = pinfold("id", path=tmp_path / "none", PINFOLD_API_PORT="1")
    said.complains("no daemon at http://127.0.0.1:1: start one with `pinfold daemon`", code=3)


def test_a_file_that_is_no_car_stores_nothing(unpinned: NodeProcess, tmp_path: Path) -> None:
    stored = bytes_stored(unpinned)
    (tmp_path / "x.car").write_bytes(b"certainly not a CAR file, whatever its name says")
    pinfold("car", "import", str(tmp_path / "x.car"), path=unpinned.folder).complains("CAR")
    assert bytes_stored(unpinned) == stored


def test_a_car_that_cannot_be_read_to_its_end_does_not_hang(unpinned: NodeProcess) -> None:
    pinfold("car", "import", "/proc/self/mem", path=unpinned.folder).complains("Input/output error")


def test_an_export_is_a_file_like_any_other_and_replaces_the_one_before_when_asked_to(
    node: NodeProcess, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("exported")
    cid = node.run("add", "-Q", str(tmp_path / "a"))
    car = tmp_path / "out.car"
    for force in ((), ("--force",)):
        assert pinfold("car", "export", cid, *force, "-o", str(car), path=node.folder).out == f"saved {car}\n"
    assert car.stat().st_mode == (tmp_path / "a").stat().st_mode
    assert node.run("car", "import", str(car)) == f"pinned {cid}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out.car"]


def test_an_export_to_a_full_disk_leaves_no_file(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(300_000))
    cid = node.run("add", "-Q", str(tmp_path / "a"))
    out = tmp_path / "out"
    out.mkdir()
    for arguments in (("get", cid), ("car", "export", cid)):
        process = beginning(*arguments, "-o", str(out / "x"), path=node.folder, limits="ulimit -f 8")
        ended(process).complains("File too large")
        assert list(out.iterdir()) == []


def test_a_target_that_exists_is_left_as_it_is(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    cid = node.run("add", "-Q", str(tmp_path / "a"))
    (tmp_path / "b").write_text("older")
    said = pinfold("get", cid, "-o", str(tmp_path / "b"), path=node.folder)
    said.complains(f"{tmp_path}/b exists", "-o")
    assert (tmp_path / "b").read_text() == "older"


def test_no_invitation_is_made_that_nobody_could_follow(node: NodeProcess) -> None:
    said = pinfold("cluster", "invite", path=node.folder)
    said.complains("no machine could join", "--offline", "cluster.announce")
    assert said.out == ""


def test_a_second_daemon_is_refused_and_the_first_goes_on(node: NodeProcess) -> None:
    assert node.process is not None
    pinfold("daemon", path=node.folder).complains("is in use by another process", str(node.process.pid))
    assert node.api("/id")


def test_several_paths_and_standard_input_are_added_together(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    names = [str(tmp_path / "two"), "-", str(tmp_path / "one")]
    said = pinfold("add", "--stdin-name", "piped", *names, path=node.folder, stdin=b"3")
    added = dict(re.findall(r"added (\S+) (\S+)", said.out)[::-1])
    assert sorted(added.values()) == ["one", "piped", "two"], said
    assert set(added) <= pins(node)
    assert {pinfold("cat", cid, path=node.folder).out for cid in added} == {"1", "2", "3"}


def test_standard_input_goes_by_its_cid_and_hashes_the_same_without_a_daemon(
    node: NodeProcess, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 20_000
    said = pinfold("add", path=node.folder, stdin=data)
    here = pinfold("add", "-n", "-", path=tmp_path, stdin=data)
    assert said.out == here.out
    (cid, name) = said.out.split()[1:]
    assert cid == name
    assert pinfold("add", "-Q", "-", path=node.folder, stdin=data).out.strip() == cid


def test_what_is_printed_with_json_is_json(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("json")
    (line,) = node.run("add", "--json", str(tmp_path / "a")).splitlines()
    cid = json.loads(line)["cid"]
    for arguments in (
        ("pin", "ls", cid),
        ("status", cid),
        ("id",),
        ("peers",),
        ("config", "show"),
        ("version",),
    ):
        (printed,) = node.run(*arguments, "--json").splitlines()
        assert isinstance(json.loads(printed), dict)


@pytest.mark.parametrize("nothing", ["", "/", "/ipfs/", "ipfs://"])
def test_a_content_that_is_not_named_is_never_told_as_done(unpinned: NodeProcess, nothing: str) -> None:
    for command in (("pin", "add"), ("pin", "rm"), ("cat",), ("get",), ("ls",), ("car", "export")):
        here(*command, nothing, path=unpinned.folder).complains("names nothing")
    for command in (("pin", "ls"), ("status",)):
        here(*command, nothing, path=unpinned.folder).complains("names nothing")


def test_a_member_that_is_not_named_is_never_told_as_removed(node: NodeProcess) -> None:
    here("cluster", "remove", "", "--yes", path=node.folder).complains("nothing was removed")
    unknown = here("cluster", "remove", "a\udcff", "--yes", path=node.folder)
    unknown.complains("no member of this cluster is")


def test_bytes_that_are_no_cid_are_refused_in_plain_words(node: NodeProcess) -> None:
    for command in (("pin", "add"), ("cat",), ("ls",), ("status",)):
        said = here(*command, "\udcff", path=node.folder)
        said.complains("invalid CID")
        assert "codec" not in said.err


@pytest.mark.parametrize("number", ["-1", " 1", "1_0", "\u0661", "", "9" * 30, "1.0"])
def test_numbers_are_plain_decimal_and_inside_their_bounds(node: NodeProcess, number: str) -> None:
    for command in (
        ("cat", ABSENT, "--offset"),
        ("cluster", "invite", "--expires"),
        ("daemon", "--rpc-port"),
    ):
        here(*command, number, path=node.folder).complains("is not a whole number", code=2)


def test_where_a_file_goes_has_to_be_said(node: NodeProcess, tmp_path: Path) -> None:
    cid = pinfold("add", "-Q", path=node.folder, stdin=b"bytes").out.strip()
    here("get", cid, "-o", "", path=node.folder).complains("-o takes a path", code=2)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    here("get", cid, "-o", str(loop), "--force", path=node.folder).complains("symbolic links")
    assert loop.is_symlink()


def test_the_quieter_add_prints_one_entry_as_json_too(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a").write_bytes(b"a")
    folder = str(tmp_path / "photos")
    plain = here("add", "-n", "-r", "-Q", folder, path=node.folder).out.strip()
    (line,) = here("add", "-n", "-r", "-Q", "--json", folder, path=node.folder).out.splitlines()
    assert (json.loads(line)["cid"], json.loads(line)["name"]) == (plain, "photos")
