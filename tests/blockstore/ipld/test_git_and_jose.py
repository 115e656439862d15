"""git-raw and dag-jose: links as Kubo follows them."""

from __future__ import annotations

import hashlib

import dag_cbor
import multiformats
import pytest
from support.dags import leaf

from blockstore.block import Block
from blockstore.cid import CID, DAG_JOSE, GIT_RAW
from blockstore.errors import BadBlock
from blockstore.ipld.codecs import links


def git(kind: str, body: bytes) -> Block:
    return Block.of(f"{kind} {len(body)}\0".encode() + body, GIT_RAW, hash_name="sha1")


def digest(block: Block) -> bytes:
    return block.cid.multihash[2:]


BLOB = git("blob", b"tree 1234")
TREE = git("tree", b"100644 a b\0" + digest(BLOB) + b"40000 \xff\0" + bytes(20))
ZERO = CID.v1(GIT_RAW, b"\x11\x14" + bytes(20))


def test_the_names_are_those_that_git_gives() -> None:
    assert digest(BLOB) == hashlib.sha1(b"blob 9\0tree 1234", usedforsecurity=False).digest()


def test_a_blob_links_nowhere_and_a_tree_to_its_entries() -> None:
    assert links(BLOB) == []
    assert links(TREE) == [BLOB.cid, ZERO]
    assert links(git("tree", b"")) == []


def test_a_commit_links_to_its_tree_its_parents_and_the_tags_in_it() -> None:
    body = (
        f"tree {digest(TREE).hex()}\nparent {'ab' * 20}\nparent {'cd' * 20}\nauthor A <a@b> 1 +0000\n"
        f"mergetag object {'ef' * 20}\n type commit\n object {'11' * 20}\n\nparent {'22' * 20}\n"
    )
    found = links(git("commit", body.encode()))
    assert found[0] == TREE.cid
    assert [cid.multihash[2:].hex() for cid in found[1:]] == ["ab" * 20, "cd" * 20, "ef" * 20]


def test_a_tag_links_to_its_object() -> None:
    assert links(git("tag", f"object {digest(BLOB).hex()}\ntype blob\ntag v1\n\nobject".encode())) == [
        BLOB.cid
    ]


@pytest.mark.parametrize(
    "data", [b"", b"tree", b"branch 1\0x", b"tree 9\x00100644 a\0short", b"commit 3\0abc", b"tree x\0"]
)
def test_what_is_no_object_of_git_is_refused(data: bytes) -> None:
    with pytest.raises(BadBlock):
        links(Block.of(data, GIT_RAW))


def jose(value: dag_cbor.IPLDKind) -> Block:
    return Block.of(dag_cbor.encode(value), DAG_JOSE)


def test_a_signature_links_to_what_is_signed_and_to_what_its_headers_name() -> None:
    named = multiformats.CID.decode(bytes(leaf(2).cid))
    signatures: list[dag_cbor.IPLDKind] = [{"protected": b"{}", "signature": b"s", "header": {"k": named}}]
    signed = jose({"payload": bytes(leaf(1).cid), "signatures": signatures})
    assert links(signed) == [leaf(1).cid, leaf(2).cid]


def test_what_is_encrypted_links_nowhere() -> None:
    assert links(jose({"ciphertext": b"c", "iv": b"i", "tag": b"t"})) == []


@pytest.mark.parametrize("value", [[], {}, {"payload": b"no cid"}, 1])
def test_what_is_neither_signed_nor_encrypted_is_refused(value: dag_cbor.IPLDKind) -> None:
    with pytest.raises(BadBlock):
        links(jose(value))
