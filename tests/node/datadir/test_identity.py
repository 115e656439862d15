from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.datadir.identity import BadIdentity, Identity, load, public_key_of, save

# Test vector of the libp2p peer-id specification ("Keys", Ed25519): private key and the public key inside it.
SPEC_PRIVATE = bytes.fromhex(
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
    "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
)
SPEC_PUBLIC = bytes.fromhex("1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")


def test_the_specification_s_private_key_is_read_and_written_alike() -> None:
    identity = Identity.from_protobuf(SPEC_PRIVATE)
    assert identity.public == SPEC_PUBLIC
    assert identity.to_protobuf() == SPEC_PRIVATE


def test_a_peer_id_is_the_one_libp2p_makes() -> None:
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.id import ID

    identity = Identity.from_seed(b"\x07" * 32)
    assert identity.peer_id == str(ID.from_pubkey(create_new_key_pair(b"\x07" * 32).public_key))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_only_the_signer_and_the_signed_bytes_verify(seed: bytes, data: bytes) -> None:
    identity = Identity.from_seed(seed)
    signature = identity.sign(data)
    assert Identity.verify(identity.peer_id, data, signature)
    assert not Identity.verify(identity.peer_id, data + b"x", signature)
    assert not Identity.verify(Identity.generate().peer_id, data, signature)
    assert public_key_of(identity.peer_id) == identity.public


@given(st.text(max_size=80), st.binary(max_size=80))
def test_a_peer_id_or_signature_of_anything_is_just_false(peer: str, signature: bytes) -> None:
    assert not Identity.verify(peer, b"data", signature)


def test_the_key_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    identity = Identity.generate()
    save(identity, path)
    assert load(path) == identity
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["identity.key"]
    assert base64.b64decode(path.read_bytes()) == identity.to_protobuf()


def test_a_key_file_that_an_editor_went_over_is_read(tmp_path: Path) -> None:
    identity = Identity.generate()
    text = base64.b64encode(identity.to_protobuf()).decode()
    (tmp_path / "identity.key").write_bytes(f"\ufeff{text}\r\n".encode())
    assert load(tmp_path / "identity.key") == identity
    (tmp_path / "identity.key").write_bytes(text.encode("utf-16"))
    with pytest.raises(BadIdentity, match="UTF-16"):
        load(tmp_path / "identity.key")


def test_a_raw_protobuf_key_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(SPEC_PRIVATE)
    assert load(path).public == SPEC_PUBLIC


@pytest.mark.parametrize("data", [b"", b"hello", base64.b64encode(b"x" * 68), SPEC_PRIVATE[:-1] + b"\0"])
def test_a_damaged_key_file_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "identity.key"
    path.write_bytes(data)
    with pytest.raises(BadIdentity, match=r"identity\.key"):
        load(path)
    assert path.read_bytes() == data


def test_the_secret_is_not_in_the_repr() -> None:
    identity = Identity.generate()
    assert identity.seed.hex() not in repr(identity)
    assert repr(identity.seed) not in repr(identity)
