"""Keys by name on disk: Kubo's files, for their owner alone, and never one lost to another."""

import stat
from pathlib import Path

import pytest

from node.datadir.keystore import BadLabel, KeyExists, Keystore, KeystoreError, KeystoreUnavailable, NoKey
from node.datadir.private_key import BadKey, KeyFormat, PrivateKey

OWN, A, B = (PrivateKey.from_seed(bytes([number]) * 32) for number in range(3))


@pytest.fixture
def keys(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keystore", OWN)


def labels(keys: Keystore) -> list[str]:
    return [label for label, _ in keys.every()]


def test_a_key_is_a_file_as_kubo_names_it_for_its_owner_alone(keys: Keystore, tmp_path: Path) -> None:
    keys.add("mykey", A)
    (file,) = (tmp_path / "keystore").iterdir()
    assert file.name == "key_nv4wwzlz"
    assert file.read_bytes() == A.encode(KeyFormat.PROTOBUF)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_keys_are_found_by_name_and_by_what_they_sign_for(keys: Keystore) -> None:
    keys.add("b/ü 1", B)
    keys.add("a", A)
    assert labels(keys) == ["self", "a", "b/ü 1"]
    assert keys.get("b/ü 1").multihash == B.multihash
    assert keys.get("self") is OWN
    found = keys.with_multihash(A.multihash)
    assert found is not None
    assert found.multihash == A.multihash
    assert keys.with_multihash(b"\x00\x01x") is None


def test_a_name_that_is_taken_stays(keys: Keystore) -> None:
    keys.add("a", A)
    keys.add("b", B)
    with pytest.raises(KeyExists):
        keys.add("a", B)
    with pytest.raises(KeyExists):
        keys.rename("a", "b", force=False)
    assert keys.get("a").multihash == A.multihash
    assert keys.rename("a", "b", force=True)
    assert labels(keys) == ["self", "b"]
    assert not keys.rename("b", "b", force=False)
    assert keys.remove("b").multihash == A.multihash
    assert labels(keys) == ["self"]


def test_the_nodes_own_key_is_no_file_of_it(keys: Keystore) -> None:
    keys.add("a", A)
    for change in (
        lambda: keys.add("self", A),
        lambda: keys.rename("self", "x", force=True),
        lambda: keys.rename("a", "self", force=True),
        lambda: keys.remove("self"),
    ):
        with pytest.raises(KeystoreError, match="own"):
            change()


@pytest.mark.parametrize("label", ["", "x" * 129, "a\nb", "/a", "-a", "a\udce9"])
def test_what_nothing_can_be_called_is_refused(keys: Keystore, label: str) -> None:
    with pytest.raises(BadLabel):
        keys.add(label, A)


def test_a_key_that_is_not_there_is_told(keys: Keystore) -> None:
    for look in (lambda: keys.get("x"), lambda: keys.remove("x"), lambda: keys.rename("x", "y", force=False)):
        with pytest.raises(NoKey, match="no key named x"):
            look()


def test_other_files_and_a_damaged_key_hide_no_others(keys: Keystore, tmp_path: Path) -> None:
    keys.add("a", A)
    folder = tmp_path / "keystore"
    (folder / "key_nu======").write_bytes(b"x")
    (folder / "notes").write_bytes(b"x")
    (folder / "key_mi").write_bytes(b"no key")
    assert labels(keys) == ["self", "a"]
    with pytest.raises(BadKey, match="key b cannot be read"):
        keys.get("b")


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "keystore").write_text("")
    with pytest.raises(KeystoreUnavailable):
        Keystore(tmp_path / "keystore", OWN).add("a", A)
