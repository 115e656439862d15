"""No option of the RPC is passed over in silence: it is honoured, changes nothing, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.dags import leaf, node
from support.rpc import form, rpc

from blockstore.cid import CID
from blockstore.errors import UnknownCodec
from blockstore.ipld.multicodecs import code_of
from node.http.errors import BadRequest
from node.http.rpc.app import COMMANDS
from node.http.rpc.block_names import BlockNames
from node.http.rpc.options import OPTIONS

# What `ipfs --api` 0.43 sends of its own accord, and kubo-rpc-client.
SENT = {
    "block/put": "cid-codec=raw&mhlen=-1&pin=false&allow-big-block=false",
    "cat": "progress=true",
    "dag/import": "pin-roots=true&stats=false&silent=false&fast-provide-root=true&allow-big-block=false",
    "ls": "resolve-type=true&size=true&stream=false&headers=false&long=false",
    "name/resolve": "recursive=true&nocache=false&dht-record-count=16&dht-timeout=1m0s",
    "repo/gc": "quiet=false&silent=false&stream-errors=false",
}
ALWAYS = "arg=x&encoding=json&stream-channels=true&timeout=30s"


def query(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split("&"))


def test_every_command_says_what_it_takes() -> None:
    assert OPTIONS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_what_clients_always_send_is_taken(command: str) -> None:
    OPTIONS[command].check(command, query(ALWAYS + (f"&{SENT[command]}" if command in SENT else "")))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["nosuch=1", "cid-base=base58btc", "encoding=xml", "local=true", "Arg=x"])
def test_what_nobody_honours_is_refused_by_name(command: str, option: str) -> None:
    with pytest.raises(BadRequest, match=option.split("=", maxsplit=1)[0]):
        OPTIONS[command].check(command, query(option))


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("block/put", "allow-big-block=true"),
        ("dag/import", "local-only=true"),
        ("dag/export", "local-only=1"),
        ("ls", "long=true"),
        ("ls", "sort-size=true"),
        ("name/put", "force=true"),
        ("name/resolve", "recursive=false"),
        ("name/resolve", "nocache=true"),
        ("id", "peerid-base=base36"),
        ("swarm/peers", "latency=true"),
        ("repo/gc", "offline=true"),
    ],
)
def test_a_switch_that_would_change_the_answer_is_refused(command: str, option: str) -> None:
    name = option.split("=", maxsplit=1)[0]
    with pytest.raises(BadRequest, match=name):
        OPTIONS[command].check(command, query(option))
    OPTIONS[command].check(command, {name: ""})


async def test_an_option_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        status, body = await call("block/put?formt=v0", data=form(block=b"x"))
        assert status == 400
        assert b'"formt" of block/put' in body
        assert not await call.node.parts.store.has(leaf(0).cid)
        status, body = await call("cat?arg=x&timeout=soon")
        assert (status, b"timeout" in body) == (400, True)
        status, body = await call("id?arg=12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5")
        assert (status, b"another node" in body) == (400, True)


async def test_offline_and_timeout_are_honoured(tmp_path: Path) -> None:
    absent = leaf(7).cid
    top = node([absent])
    async with rpc(tmp_path) as call:
        await call.node.parts.store.put_many([top])
        for command in ("block/get", "cat", "dag/export"):
            status, body = await call(f"{command}?arg={absent}&offline=true")
            assert (status, b"not here" in body) == (500, True), body
        status, _ = await call(f"block/get?arg={top.cid}&offline=true&timeout=10s")
        assert status == 200


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raw", 0x55),
        ("dag-pb", 0x70),
        ("git-raw", 0x78),
        ("eth-block", 0x90),
        ("libp2p-key", 0x72),
        ("0x78", 0x78),
        ("120", 0x78),
        ("0170", 0x78),
        ("0b1111000", 0x78),
        ("http-path", 0x1E1),
        ("es384", 0xD01201),
        ("0x300123", 0x300123),
    ],
)
def test_codecs_by_name_and_by_number(text: str, code: int) -> None:
    assert code_of(text) == code


@pytest.mark.parametrize("text", ["", "nosuch", "DAG-CBOR", "0xffffff", "-1", "1e3", "9" * 40, "0x"])
def test_codecs_that_the_table_does_not_have(text: str) -> None:
    with pytest.raises(UnknownCodec, match="unknown multicodec"):
        code_of(text)


def cid(text: str, data: bytes = b"abc") -> CID:
    return BlockNames.of(query(text)).name(data).cid


def test_blocks_get_the_names_that_are_asked_for() -> None:
    assert str(cid("format=v0", b"\n\x02\x08\x01")) == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    assert cid("format=protobuf").codec == 0x70
    assert cid("format=cbor").codec == 0x71
    assert len(cid("mhlen=20").digest) == 20
    assert len(cid("mhlen=-1").digest) == len(cid("mhlen=32").digest) == 32
    assert len(cid("mhtype=blake3&mhlen=48").digest) == 48
    assert cid("mhtype=identity").is_identity


@pytest.mark.parametrize(
    "text",
    [
        "format=nosuch",
        "format=raw&cid-codec=dag-pb",
        "format=v0&mhtype=sha2-512",
        "format=v0&mhlen=20",
        "mhlen=0",
        "mhlen=19",
        "mhlen=33",
        "mhlen=x",
        "mhtype=blake3&mhlen=129",
        "mhtype=identity&mhlen=2",
        "mhtype=nosuch",
        "mhtype=keccak-224",
        "cid-codec=nosuch",
    ],
)
def test_names_that_cannot_be_had_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        cid(text)


def test_what_is_too_long_for_an_identity_cid_is_refused() -> None:
    with pytest.raises(BadRequest, match="128"):
        cid("mhtype=identity", bytes(129))


@pytest.mark.parametrize(
    ("command", "option"),
    [("cat", "progress=maybe"), ("get", "archive=x"), ("ls", "headers=2"), ("repo/gc", "quiet=x"),
     ("version", "number=?"), ("dag/import", "silent=no")],
)  # fmt: skip
def test_a_switch_is_on_or_off_even_where_it_changes_nothing(command: str, option: str) -> None:
    with pytest.raises(BadRequest, match=option.split("=", maxsplit=1)[0]):
        OPTIONS[command].check(command, query(option))
