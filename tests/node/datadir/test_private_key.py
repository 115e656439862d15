"""Private keys in Kubo's two forms: what goes out comes back, and what is no key is told."""

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from blockstore.common import protobuf
from node.datadir.identity import Identity
from node.datadir.private_key import BadKey, KeyFormat, PrivateKey

RSA = PrivateKey.generate(2048)
ED = PrivateKey.generate()
SEED = bytes(range(32))


@pytest.mark.parametrize("form", KeyFormat)
@pytest.mark.parametrize("key", [ED, RSA], ids=["ed25519", "rsa"])
def test_a_key_comes_back_as_it_went_out(key: PrivateKey, form: KeyFormat) -> None:
    again = PrivateKey.decode(key.encode(form), form)
    assert again.encode(KeyFormat.PROTOBUF) == key.encode(KeyFormat.PROTOBUF)
    assert again.multihash == key.multihash


def test_an_ed25519_key_is_what_libp2p_has_of_it() -> None:
    key, node = PrivateKey.from_seed(SEED), Identity.from_seed(SEED)
    assert key.encode(KeyFormat.PROTOBUF) == node.to_protobuf()
    assert key.public == node.public_protobuf
    assert node.verify(node.peer_id, b"data", key.sign(b"data"))


def test_the_public_half_may_be_there_twice_as_old_programs_wrote_it() -> None:
    node = Identity.from_seed(SEED)
    old = protobuf.field(1, 1) + protobuf.field(2, node.seed + node.public * 2)
    assert PrivateKey.decode(old, KeyFormat.PROTOBUF).multihash == PrivateKey.from_seed(SEED).multihash


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"", KeyFormat.PROTOBUF),
        (bytes(20_000), KeyFormat.PROTOBUF),
        (Identity.from_seed(SEED).to_protobuf()[:-1] + b"x", KeyFormat.PROTOBUF),
        (Identity.from_seed(SEED).to_protobuf()[:-8], KeyFormat.PROTOBUF),
        (protobuf.field(1, 2) + protobuf.field(2, SEED), KeyFormat.PROTOBUF),
        (ED.encode(KeyFormat.PEM), KeyFormat.PROTOBUF),
        (ED.encode(KeyFormat.PROTOBUF), KeyFormat.PEM),
        (pem(ec.generate_private_key(ec.SECP256R1())), KeyFormat.PEM),
        (pem(rsa.generate_private_key(65537, 1024)), KeyFormat.PEM),
    ],
    ids=("empty", "long", "another key", "cut", "a seed", "PEM", "protobuf", "another curve", "short RSA"),
)
def test_what_is_no_key_of_a_name_is_refused(data: bytes, form: KeyFormat) -> None:
    with pytest.raises(BadKey):
        PrivateKey.decode(data, form)


def test_the_size_of_an_rsa_key_is_bounded() -> None:
    for bits in (1024, 8193, 1 << 20):
        with pytest.raises(BadKey, match="2048 to 8192"):
            PrivateKey.generate(bits)


def test_no_text_of_a_key_shows_it() -> None:
    assert "PRIVATE" not in repr(ED).upper().replace("PRIVATEKEY", "")


@given(st.binary(max_size=200), st.sampled_from(KeyFormat))
def test_any_bytes_are_a_key_or_bad_ones(data: bytes, form: KeyFormat) -> None:
    """Invariant: decoding raises BadKey or gives a key."""
    with suppress(BadKey):
        assert PrivateKey.decode(data, form).multihash
