"""Denylists: the format's vectors, exceptions, statuses, files that grow (IPIP-383; ipfs-shipyard/nopfs)."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.node import eventually

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.path import ContentPath
from node.denylist.denylist import Denylist
from node.denylist.denylist_files import DenylistFiles, denylist_folders, open_denylist
from node.denylist.errors import BadDenylist, BadRule, ContentBlocked, LegallyBlocked
from node.denylist.rules import MAX_LINE, parse_rule
from node.names.name import parse_target

ONE = "bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq"
TWO = "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8"
THREE = "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2"
FOUR = "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC"
FIVE = "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK"
KEY = "k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf"
TEN = "bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e"
BLAKE3 = "bafyb4ieqht3b2rssdmc7sjv2cy2gfdilxkfh7623nvndziyqnawkmo266a"
BLAKE3_HEX = "f01701e20903cf61d46521b05f926ba1634628d0bba8a7ffb5b6d5a3ca310682ca63b5ef0"
EMPTY = [
    "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
    "bafyaabakaieac",
    "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    "bafkqaaa",
    "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
]
LIST = f"""\
version: 1
name: "for tests"
---
# a comment
/ipfs/{ONE}
/ipfs/{TWO}/*
/ipfs/{THREE}/test*
/ipfs/{FOUR}/test/*
/ipfs/{FIVE}/blocked*
!/ipfs/{FIVE}/blockednot
-/ipfs/{FIVE}/blocked/not
+/ipfs/{FIVE}/blocked/exceptions*
/ipns/domain.example
/ipns/Domain2.example/path
/ipns/{KEY}
//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7
//6ef262a67f2c7caa9722b0fe46aced2f1559c749eab2bcf2f2701f43f802e900
//fb5a70b1aade810d21e8195a0da05f40ebd099e4b4d6bf088dc604e4fcf34263
//3f8b9febd851873b3774b937cce126910699ceac56e72e64b866f8e258d09572
//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM
//gW813G35CnLsy7gRYYHuf63hrz71U1xoLFDVeV7actx6oX
//QmX6zeaAb8mC285YbXe4ac7LmX3jvrHBiFrw8kNnCM1bk4
//QmcwfDuZYijxztHVR7w71WtdDaETsrGUU3ARWbNiYD3Hhp
//QmdGtYErkPjfpUPjVMUypoX8XTE9PUTBBF6KE9AwWaBs1e
//QmQouNeftXbxGRt4U8s838diCuMPPHCfpHTR5w8bRREs9d
""" + "".join(f"/ipfs/{cid}\n" for cid in EMPTY)

BLOCKED = [
    f"/ipfs/{ONE}",
    "/ipfs/bafkreihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq",
    "/ipfs/QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo",
    *(f"/ipfs/{TWO}{rest}" for rest in ("", "/a/b", "/z/", "/z")),
    *(f"/ipfs/{THREE}/{rest}" for rest in ("test", "test2", "test/one")),
    *(f"/ipfs/{FOUR}/{rest}" for rest in ("test", "test2", "test/one")),
    *(f"/ipfs/{FIVE}/{rest}" for rest in ("blocked", "blocked2")),
    "/ipns/domain.example",
    "/ipns/DOMAIN.example.",
    "/ipns/domain2.example/path",
    f"/ipns/{KEY}",
    "/ipns/bafzaajaiaejcaotjfs57kieazxny5japcmy5p2pgv2cic77tu6ogghttvurnrufx",
    "/ipns/12D3KooWDkNqEJNmreF3NYYFK1ws7Ra2fuW6cHBTu567SPV3LdYA",
    "/ipns/k51qzi5uqu5dixwsch9wpd9rolqby1m0uqj5hhxwtxal0dwltastfmh01dlniq",
    "/ipns/bafzaajaiaejca3vrvdzmu4qntwa2pn6apsd4ug5k63ckdyhnd3g6vdvgvujdw62s",
    "/ipns/very-bad-example.eth",
    "/ipns/very-bad-example.eth/",
    *(f"/ipfs/{TEN}{rest}" for rest in ("", "/", "/path")),
    "/ipfs/bafybeidjwik6im54nrpfg7osdvmx7zojl5oaxqel5cmsz46iuelwf5acja",
    "/ipfs/QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR",
    f"/ipfs/{BLAKE3}/path",
    f"/ipfs/{BLAKE3_HEX}/path",
    "/ipns/my.domain.com",
    "/ipns/my.domain2.com/path",
    "/ipns/k51qzi5uqu5dixwsch9wpd9rolqby1m0uqj5hhxwtxal0dwltastfmh01dabcd",
    "/ipns/k51qzi5uqu5dixwsch9wpd9rolqby1m0uqj5hhxwtxal0dwltastfmh01d1234/mypath",
    "/ipns/bafzaajaiaejca3vrvdzmu4qntwa2pn6apsd4ug5k63ckdyhnd3g6vdvgvujczuoq/mypath",
]
FREE = [
    f"/ipfs/{ONE}/sub2",
    *(f"/ipfs/{THREE}{rest}" for rest in ("/tes", "", "/one/test")),
    *(f"/ipfs/{FOUR}{rest}" for rest in ("/tes", "", "/one/test")),
    *(
        f"/ipfs/{FIVE}/{rest}"
        for rest in ("blockednot", "blocked/not", "blocked/exceptions", "blocked/exceptions2", "other")
    ),
    "/ipns/domainaefa.example",
    "/ipns/domain.example/path",
    "/ipns/domain2.example",
    "/ipns/domain2.example/path2",
    "/ipns/12D3KooWDkNqEJNmreF3NYYFK1ws7Ra2fuW6cHBTu567SPV3LdYA/path",
    f"/ipfs/{TEN}/path2",
    f"/ipfs/{BLAKE3}/",
    f"/ipfs/{BLAKE3_HEX}/path2",
    "/ipns/my.domain2.com/path2",
    "/ipns/k51qzi5uqu5dixwsch9wpd9rolqby1m0uqj5hhxwtxal0dwltastfmh01d1234/mypath2",
    *(f"/ipfs/{cid}" for cid in EMPTY),
]


def files_of(folder: Path, **lists: str) -> DenylistFiles:
    for name, text in lists.items():
        (folder / f"{name}.deny").write_text(text)
    files = DenylistFiles([folder])
    files.load()
    return files


def denylist_of(folder: Path, **lists: str) -> Denylist:
    files = files_of(folder, **lists)
    return Denylist(lambda: files.rule_sets)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Denylist:
    return denylist_of(tmp_path_factory.mktemp("lists"), vectors=LIST)


@pytest.mark.parametrize("path", BLOCKED)
def test_what_the_vectors_block_is_blocked(vectors: Denylist, path: str) -> None:
    with pytest.raises(ContentBlocked, match="is blocked and cannot be provided"):
        vectors.check_path(parse_target(path))


@pytest.mark.parametrize("path", FREE)
def test_what_the_vectors_leave_free_is_free(vectors: Denylist, path: str) -> None:
    vectors.check_path(parse_target(path))


def test_blocks_are_blocked_by_their_multihash(vectors: Denylist) -> None:
    blocked = CID.parse(ONE)
    for cid in (
        blocked,
        CID.v0(blocked.multihash),
        CID.v1(0x55, blocked.multihash),
        CID.parse(TWO),
        CID.parse(TEN),
    ):
        assert vectors.blocks(cid)
        with pytest.raises(ContentBlocked, match=f"^{cid} is blocked"):
            vectors.check_cid(cid)
    for text in (*EMPTY, THREE, FIVE, BLAKE3):
        assert not vectors.blocks(CID.parse(text))
        vectors.check_cid(CID.parse(text))


def test_the_older_double_hash_is_of_one_codec_only(vectors: Denylist) -> None:
    assert vectors.blocks(CID.parse(TEN))
    assert not vectors.blocks(CID.v1(0x55, CID.parse(TEN).multihash))


def test_a_later_rule_overrides_an_earlier_one(tmp_path: Path) -> None:
    denylist = denylist_of(tmp_path, a=f"/ipfs/{ONE}\n!/ipfs/{ONE}\n!/ipfs/{TWO}\n/ipfs/{TWO}\n")
    assert not denylist.blocks(CID.parse(ONE))
    assert denylist.blocks(CID.parse(TWO))


def test_the_first_list_that_says_anything_decides(tmp_path: Path) -> None:
    denylist = denylist_of(tmp_path, a=f"!/ipfs/{ONE}\n", b=f"/ipfs/{ONE}\n/ipfs/{TWO}\n")
    assert not denylist.blocks(CID.parse(ONE))
    assert denylist.blocks(CID.parse(TWO))


@pytest.mark.parametrize(
    ("header", "hints", "error"),
    [
        ("", "", ContentBlocked),
        ("", " gateway_status=451", LegallyBlocked),
        ("", " reason:court gateway_status:451", LegallyBlocked),
        ("---\n", " gateway_status=410", ContentBlocked),
        ("version: 1\nhints:\n  gateway_status: 451\n---\n", "", LegallyBlocked),
        ("hints:\n  gateway_status: 451\n---\n", " gateway_status=410", ContentBlocked),
    ],
)
def test_a_legal_reason_is_told_apart(
    tmp_path: Path, header: str, hints: str, error: type[ContentBlocked]
) -> None:
    denylist = denylist_of(tmp_path, a=f"{header}/ipfs/{ONE}{hints}\n")
    with pytest.raises(ContentBlocked) as caught:
        denylist.check_cid(CID.parse(ONE))
    assert type(caught.value) is error


def test_escapes_in_rules_are_decoded(tmp_path: Path) -> None:
    denylist = denylist_of(tmp_path, a=f"/ipfs/{ONE}/a%20b%2A\n")
    with pytest.raises(ContentBlocked):
        denylist.check_path(ContentPath(CID.parse(ONE), ("a b*",)))
    denylist.check_path(ContentPath(CID.parse(ONE), ("a b", "c")))


def test_lines_that_are_no_rules_are_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"/ipfs/nonsense\n/other/x\n//zz\n{'x' * (MAX_LINE + 10)}\n\xff\n/ipfs/{ONE}\n" + "?\n" * 20
    denylist = denylist_of(tmp_path, a=text)
    assert denylist.blocks(CID.parse(ONE))
    assert "is neither a multihash" in caplog.text
    assert "15 more lines are passed over" in caplog.text


@pytest.mark.parametrize("header", ["", "version: 1\n---\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_other_line_ends_are_read_over(tmp_path: Path, header: str, end: str) -> None:
    text = f"{header}/ipfs/{ONE}\n/ipfs/{TWO}\n".replace("\n", end)
    denylist = denylist_of(tmp_path, a="\ufeff" + text)
    for root in (ONE, TWO):
        with pytest.raises(ContentBlocked):
            denylist.check_path(ContentPath.parse(root))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_list_in_another_encoding_is_an_error_and_not_a_list_of_bad_lines(
    tmp_path: Path, encoding: str
) -> None:
    mark = "\ufeff" if encoding.endswith("be") else ""
    (tmp_path / "a.deny").write_bytes(f"{mark}/ipfs/{ONE}\n".encode(encoding))
    with pytest.raises(BadDenylist, match="save it as UTF-8"):
        DenylistFiles([tmp_path]).load()


def test_a_list_of_another_version_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadDenylist, match=r"a\.deny cannot be read: its version is 2"):
        denylist_of(tmp_path, a=f"version: 2\n---\n/ipfs/{ONE}\n")


def test_what_is_appended_counts_once_its_line_is_whole(tmp_path: Path) -> None:
    files = files_of(tmp_path, a=f"name: a\n---\n/ipfs/{ONE}\n")
    denylist = Denylist(lambda: files.rule_sets)
    with (tmp_path / "a.deny").open("a") as file:
        for piece, blocked in ((f"/ipfs/{TWO}", False), ("\n/ipfs/", True)):
            file.write(piece)
            file.flush()
            files.refresh()
            assert denylist.blocks(CID.parse(TWO)) is blocked
    assert denylist.blocks(CID.parse(ONE))


def test_a_last_line_without_an_end_counts_when_nobody_writes_any_more(tmp_path: Path) -> None:
    files = files_of(tmp_path, a=f"/ipfs/{ONE}\n/ipfs/{TWO}")
    denylist = Denylist(lambda: files.rule_sets)
    assert not denylist.blocks(CID.parse(TWO))
    os.utime(tmp_path / "a.deny", (0, 0))
    files.refresh()
    assert denylist.blocks(CID.parse(TWO))


def test_lists_that_are_replaced_added_or_removed_are_taken_up(tmp_path: Path) -> None:
    files = files_of(tmp_path, a=f"/ipfs/{ONE}\n")
    denylist = Denylist(lambda: files.rule_sets)
    (tmp_path / "new").write_text(f"/ipfs/{TWO}\n" * 2)
    (tmp_path / "new").replace(tmp_path / "a.deny")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.deny").write_text(f"/ipfs/{FIVE}\n")
    files.refresh()
    assert [denylist.blocks(CID.parse(text)) for text in (ONE, TWO, FIVE)] == [False, True, True]
    (tmp_path / "a.deny").unlink()
    files.refresh()
    assert [denylist.blocks(CID.parse(text)) for text in (ONE, TWO, FIVE)] == [False, False, True]


def test_a_list_that_is_written_anew_in_its_place_is_read_anew(tmp_path: Path) -> None:
    files = files_of(tmp_path, a=f"/ipfs/{ONE}\n")
    (tmp_path / "a.deny").write_text(f"/ipfs/{TWO}\n/ipfs/{FIVE}\n")
    files.refresh()
    denylist = Denylist(lambda: files.rule_sets)
    assert [denylist.blocks(CID.parse(text)) for text in (ONE, TWO)] == [False, True]


def test_a_list_that_breaks_while_the_node_runs_stays_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = files_of(tmp_path, a=f"/ipfs/{ONE}\n")
    (tmp_path / "new").write_text("version: 9\n---\n")
    (tmp_path / "new").replace(tmp_path / "a.deny")
    files.refresh()
    assert Denylist(lambda: files.rule_sets).blocks(CID.parse(ONE))
    files.refresh()
    assert caplog.text.count("its version is 9") == 1
    (tmp_path / "a.deny").write_text(f"/ipfs/{TWO}\n")
    files.refresh()
    (tmp_path / "a.deny").write_text("version: 9\n---\n")
    files.refresh()
    assert caplog.text.count("its version is 9") == 2
    assert Denylist(lambda: files.rule_sets).blocks(CID.parse(TWO))


def test_a_long_list_without_a_header_is_read_at_once(tmp_path: Path) -> None:
    text = "# aa\n" * 250_000 + f"/ipfs/{ONE}\n"
    began = time.process_time()
    assert denylist_of(tmp_path, a=text).blocks(CID.parse(ONE))
    assert time.process_time() - began < 1.5  # each line added to the header so far: 5 s


async def test_an_open_denylist_follows_its_folder(tmp_path: Path) -> None:
    async with open_denylist([tmp_path], interval=0.01) as denylist:
        assert not denylist.blocks(CID.parse(ONE))
        (tmp_path / "a.deny").write_text(f"/ipfs/{ONE}\n")

        async def blocked() -> bool:
            return denylist.blocks(CID.parse(ONE))

        await eventually(blocked)


def test_kubos_folders_are_looked_into_unless_blocking_is_switched_off() -> None:
    environment = {"HOME": "/home/a", "XDG_CONFIG_DIRS": "/etc/xdg:/etc"}
    assert denylist_folders(Path("/d"), environment) == [
        Path("/d"),
        Path("/home/a/.config/ipfs/denylists"),
        Path("/etc/xdg/ipfs/denylists"),
        Path("/etc/ipfs/denylists"),
    ]
    assert denylist_folders(Path("/d"), {"XDG_CONFIG_HOME": "/c"})[1] == Path("/c/ipfs/denylists")
    assert denylist_folders(Path("/d"), {"IPFS_CONTENT_BLOCKING_DISABLE": "true"}) == []


@given(st.text(max_size=80) | st.from_regex(r"[!+-]?//?(ip[fn]s/)?[a-zA-Z0-9%*/ ]{0,70}", fullmatch=True))
def test_any_line_is_a_rule_or_refused(line: str) -> None:
    try:
        parse_rule(line, legal=False)
    except BadRule:
        return


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.deny").write_bytes(data)
    files = DenylistFiles([folder])
    try:
        files.load()
    except BadDenylist:
        return
    assert not Denylist(lambda: files.rule_sets).blocks(Block.of(data, DAG_PB).cid)
