"""Signed IPNS records over HTTP (spec: trustless gateway, IPIP-351): the client can verify them."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import cbrrr
import pytest
from support.gateway import Gateway
from support.ipns import Key, RecordFields, signed_record

from blockstore.common import protobuf
from node.http.gateway.formats.ipns_record import cache_control
from node.names.errors import BadRecord
from node.names.ipns_record import IpnsRecord
from node.names.name import IpnsName

RECORD = "application/vnd.ipfs.ipns-record"
VALUE = "/ipfs/bafkqaaa"


async def stored(
    gateway: Gateway, number: int = 1, ttl: float = 1800.0, lifetime: float = 10_000_000.0
) -> tuple[IpnsName, bytes]:
    key = Key(number)
    data = key.record(VALUE, time.time() + lifetime, ttl=ttl)
    await gateway.node.parts.publishing.keep(key.name, data)
    return key.name, data


@pytest.mark.parametrize(("suffix", "headers"), [("?format=ipns-record", {}), ("", {"Accept": RECORD})])
async def test_a_record_is_given_as_it_was_signed(
    gateway: Gateway, suffix: str, headers: dict[str, str]
) -> None:
    name, data = await stored(gateway)
    answer = await gateway.get(f"/ipns/{name}{suffix}", **headers)
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["Content-Type"] == RECORD
    assert answer.headers["Cache-Control"] == "public, max-age=1800"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}.ipns-record"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Ipfs-Uri"] == f"ipns://{name}"
    again = await gateway.get(f"/ipns/{name}{suffix}", If_None_Match=answer.headers["Etag"], **headers)
    assert (again.status, again.body) == (304, b"")
    assert again.headers["Cache-Control"] == "public, max-age=1800"


async def test_a_record_is_not_cached_longer_than_it_is_valid(gateway: Gateway) -> None:
    name, _ = await stored(gateway, ttl=3600.0, lifetime=100.0)
    answer = await gateway.head(f"/ipns/{name}?format=ipns-record")
    age = int(answer.headers["Cache-Control"].removeprefix("public, max-age="))
    assert 0 < age <= 100


async def test_a_file_name_is_for_the_download(gateway: Gateway) -> None:
    name, _ = await stored(gateway)
    answer = await gateway.get(f"/ipns/{name}?format=ipns-record&filename=%D0%B8.x")
    assert answer.headers["Content-Disposition"] == "attachment; filename=\"_.x\"; filename*=UTF-8''%D0%B8.x"


async def test_records_are_of_keys_and_of_nothing_else(gateway: Gateway) -> None:
    name, _ = await stored(gateway)
    for path in (f"/ipns/{name}/below", "/ipns/example.org", "/ipfs/bafkqaaa"):
        assert (await gateway.get(f"{path}?format=ipns-record")).status == 400
    assert (await gateway.get(f"/ipns/{Key(2).name}?format=ipns-record")).status == 500
    moved = await gateway.get(f"/ipns/{name.peer_id}?format=ipns-record")
    assert (moved.status, moved.headers["Location"]) == (302, f"/ipns/{name}?format=ipns-record")


def damaged(data: bytes, fields: Mapping[str, protobuf.Value | None]) -> bytes:
    """A record with some of its outer fields replaced, or left out where the value is None."""
    numbers = {"value": 1, "signature_1": 2, "validity": 4, "signature_2": 8, "document": 9}
    outer: dict[int, protobuf.Value | None] = dict(protobuf.values(data))
    outer.update((numbers[name], value) for name, value in fields.items())
    return b"".join(
        protobuf.field(number, value) for number, value in sorted(outer.items()) if value is not None
    )


BAD: Mapping[str, Mapping[str, protobuf.Value | None] | None] = {
    "signed in the old way only": {"signature_2": None, "document": None},
    "another value in its old fields": {"value": b"/ipfs/bafkqabtimvwgy3yk"},
    "another signature": {"signature_2": bytes(64)},
    "no record": None,
}


@pytest.mark.parametrize("what", BAD)
async def test_a_name_whose_record_does_not_verify_is_the_gateways_failure(
    gateway: Gateway, what: str
) -> None:
    """The suite has these cases too, but its check of them cannot fail."""
    key = Key(5)
    good = key.record(VALUE, time.time() + 1e6)
    changes = BAD[what]
    bad = b"nonsense" if changes is None else damaged(good, changes)
    with pytest.raises(BadRecord):
        await gateway.node.parts.publishing.keep(key.name, bad)
    for suffix in ("", "/", "/a", "?format=ipns-record", "?format=raw"):
        answer = await gateway.get(f"/ipns/{key.name}{suffix}")
        assert 500 <= answer.status <= 599, suffix
        assert "immutable" not in answer.headers.get("Cache-Control", "")


async def test_the_old_signature_does_not_matter_nor_whether_it_is_there(gateway: Gateway) -> None:
    wrong, absent = Key(6), Key(7)
    end = time.time() + 1e6
    old = signed_record(wrong.identity, RecordFields(VALUE, end, v1=True))
    new = signed_record(absent.identity, RecordFields(VALUE, end, v1=False))
    for key, record in ((wrong, damaged(old, {"signature_1": bytes(64)})), (absent, new)):
        await gateway.node.parts.publishing.keep(key.name, record)
        assert (await gateway.get(f"/ipns/{key.name}")).status == 200


async def test_a_record_that_says_nothing_of_time_is_told_as_of_now(gateway: Gateway) -> None:
    key = Key(8)
    end = datetime.fromtimestamp(time.time() + 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    fields: cbrrr.DagCborTypes = {"Value": VALUE.encode(), "ValidityType": 0, "Validity": end, "Sequence": 1}
    document = bytes(cbrrr.encode_dag_cbor(fields))
    signature = key.identity.sign(b"ipns-signature:" + document)
    record = protobuf.field(8, signature) + protobuf.field(9, document)
    await gateway.node.parts.publishing.keep(key.name, record)
    path = f"/ipns/{key.name}?format=ipns-record"
    answer = await gateway.get(path)
    assert (answer.status, answer.body) == (200, record)
    assert "Cache-Control" not in answer.headers
    told = parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    assert abs(told - time.time()) < 60
    assert (await gateway.get(path, If_Modified_Since="Mon, 01 Jan 2035 00:00:00 GMT")).status == 200


def test_a_record_that_ended_meanwhile_is_not_to_be_kept() -> None:
    record = IpnsRecord(VALUE, 1, expires=100.0, ttl=60.0, raw=b"")
    assert cache_control(record, 99.0) == "public, max-age=1"
    assert cache_control(record, 10.0) == "public, max-age=60"
    assert cache_control(record, 100.0) == "no-store"
