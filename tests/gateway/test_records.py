"""Signed IPNS records over HTTP (spec: trustless gateway, IPIP-351): the client can verify them."""

import time

import pytest
from support.ipns import Key

RECORD = "application/vnd.ipfs.ipns-record"
VALUE = "/ipfs/bafkqaaa"


async def stored(gateway, number=1, ttl=1800.0, lifetime=10_000_000.0):
    key = Key(number)
    data = key.record(VALUE, time.time() + lifetime, ttl=ttl)
    await gateway.node.parts.names.put(key.name, data)
    return key.name, data


@pytest.mark.parametrize(("suffix", "headers"), [("?format=ipns-record", {}), ("", {"Accept": RECORD})])
async def test_a_record_is_given_as_it_was_signed(gateway, suffix, headers):
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


async def test_a_record_is_not_cached_longer_than_it_is_valid(gateway):
    name, _ = await stored(gateway, ttl=3600.0, lifetime=100.0)
    answer = await gateway.head(f"/ipns/{name}?format=ipns-record")
    age = int(answer.headers["Cache-Control"].removeprefix("public, max-age="))
    assert 0 < age <= 100


async def test_a_file_name_is_for_the_download(gateway):
    name, _ = await stored(gateway)
    answer = await gateway.get(f"/ipns/{name}?format=ipns-record&filename=%D0%B8.x")
    assert answer.headers["Content-Disposition"] == "attachment; filename=\"_.x\"; filename*=UTF-8''%D0%B8.x"


async def test_records_are_of_keys_and_of_nothing_else(gateway):
    name, _ = await stored(gateway)
    for path in (f"/ipns/{name}/below", "/ipns/example.org", "/ipfs/bafkqaaa"):
        assert (await gateway.get(f"{path}?format=ipns-record")).status == 400
    assert (await gateway.get(f"/ipns/{Key(2).name}?format=ipns-record")).status == 500
    moved = await gateway.get(f"/ipns/{name.peer_id}?format=ipns-record")
    assert (moved.status, moved.headers["Location"]) == (302, f"/ipns/{name}?format=ipns-record")
