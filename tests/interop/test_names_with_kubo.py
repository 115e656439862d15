"""IPNS records between Pinfold and a real Kubo: each verifies what the other signed."""

import json
import time
import urllib.request
from pathlib import Path

import pytest
from support.ipns import Key, RecordFields, signed_record
from support.kubo import Kubo

from node.names.ipns_record import verify
from node.names.name import IpnsName

pytestmark = pytest.mark.interop
TARGET = "/ipfs/bafkqaddwgevxmmraojswg33smq"


@pytest.mark.parametrize("v1", [True, False])
def test_kubo_verifies_our_records(tmp_path: Path, v1: bool) -> None:
    kubo, key = Kubo(tmp_path / "kubo"), Key(1)
    record = tmp_path / "record"
    record.write_bytes(
        signed_record(key.identity, RecordFields(TARGET, time.time() + 3600, sequence=7, v1=v1))
    )
    said = json.loads(kubo.run("name", "inspect", "--enc=json", "--verify", str(key.name), str(record)))
    assert (said["Entry"]["Sequence"], said["Entry"]["TTL"]) == (7, 60_000_000_000)
    assert said["Validation"] == {"Valid": True, "Reason": "", "Name": str(key.name)}


def test_we_verify_kubos_records_of_every_kind_of_key(tmp_path: Path) -> None:
    kubo = Kubo(tmp_path / "kubo")
    for kind in ("ed25519", "rsa", "secp256k1"):
        kubo.run("key", "gen", "-t", kind, kind)
        kubo.run(
            "name", "publish", "--allow-offline", "--resolve=false", "--ttl=90s", f"--key={kind}", TARGET
        )
    keys = [line.split() for line in kubo.run("key", "list", "-l").splitlines()]
    names = [text for text, label in keys if label != "self"]
    assert len(names) == 3
    with kubo.running("--offline"):
        for text in names:
            with urllib.request.urlopen(f"{kubo.gateway}/ipns/{text}?format=ipns-record") as answer:
                record = verify(IpnsName.parse(text), answer.read(), time.time())
            assert (record.value, record.ttl) == (TARGET, 90)
            assert str(IpnsName.parse(text)) == text
