"""key/* and name/publish in Kubo's shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.rpc import Rpc, form, rpc

from node.datadir.private_key import KeyFormat, PrivateKey
from node.names.name import IpnsName
from node.names.signing import name_of

EMPTY = "/ipfs/bafkqaaa"
SENT = "encoding=json&stream-channels=true&ipns-base=base36"


async def message(call: Rpc, command: str) -> str:
    """What a command that fails says."""
    status, body = await call(command)
    assert status in (400, 500), body
    return body.decode()


async def test_keys_are_made_listed_renamed_and_removed(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        (made,) = await call.json(f"key/gen?arg=site&type=ed25519&{SENT}")
        assert made["Name"] == "site"
        assert made["Id"].startswith("k51")
        (rsa,) = await call.json(f"key/gen?arg=old&type=rsa&size=-1&{SENT}")
        (listed,) = await call.json(f"key/list?l=true&{SENT}")
        own = str(IpnsName.parse(call.node.parts.peer))
        assert listed == {"Keys": [{"Name": "self", "Id": own}, rsa, made]}
        assert await call.json("key/ls") == [listed]
        (renamed,) = await call.json(f"key/rename?arg=site&arg=home&{SENT}")
        assert renamed == {"Was": "site", "Now": "home", "Id": made["Id"], "Overwrite": False}
        (renamed,) = await call.json("key/rename?arg=home&arg=old&force=true")
        assert renamed["Overwrite"] is True
        (removed,) = await call.json(f"key/rm?arg=old&{SENT}")
        assert removed == {"Keys": [{"Name": "old", "Id": made["Id"]}]}


async def test_a_name_is_written_in_the_base_that_is_asked_for(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        (made,) = await call.json("key/gen?arg=a&ipns-base=b58mh")
        assert made["Id"].startswith("12D3Koo")
        for base, first in (("base32", "b"), ("k", "k"), ("base58btc", "z")):
            (listed,) = await call.json(f"key/list?ipns-base={base}")
            assert listed["Keys"][1]["Id"][0] == first
        assert "ipns-base" in await message(call, "key/list?ipns-base=base999")


async def test_what_cannot_be_is_told_and_changes_nothing(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        await call.json("key/gen?arg=a")
        for command, words in (
            ("key/gen?arg=a", "key with name 'a' already exists"),
            ("key/gen?arg=self", "cannot create key with name 'self'"),
            ("key/gen?arg=b&type=secp256k1", "ed25519 or rsa"),
            ("key/gen?arg=b&type=rsa&size=512", "2048 to 8192"),
            ("key/gen?arg=b&type=rsa&size=0", "size"),
            ("key/gen?arg=b&type=rsa&size=-2048", "size"),
            ("key/gen?arg=b&size=2048", "one size"),
            ("key/gen?arg=", "empty"),
            ("key/gen?arg=%0a", "printable"),
            ("key/rm?arg=a&arg=nosuch", "no key named nosuch"),
            ("key/rm?arg=self", "own"),
            ("key/rm", "required"),
            ("key/rename?arg=a", "expected 2"),
            ("key/rename?arg=nosuch&arg=b", "no key named nosuch"),
            ("key/rename?arg=a&arg=self", "own"),
        ):
            assert words in await message(call, command)
        (listed,) = await call.json("key/list")
        assert [key["Name"] for key in listed["Keys"]] == ["self", "a"]
        assert (await call("key/export?arg=a"))[0] == 404


@pytest.mark.parametrize("form_", KeyFormat)
async def test_a_key_from_elsewhere_is_kept(tmp_path: Path, form_: KeyFormat) -> None:
    key = PrivateKey.generate()
    async with rpc(tmp_path) as call:
        command = f"key/import?arg=a&format={form_}&allow-any-key-type=false&{SENT}"
        (made,) = await call.json(command, data=form(key=key.encode(form_)))
        assert made == {"Name": "a", "Id": str(name_of(key))}
        status, body = await call("key/import?arg=b", data=form(key=b"nonsense"))
        assert status == 500
        assert b"no private key" in body


async def test_a_name_is_published_and_resolved(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        (made,) = await call.json("key/gen?arg=site")
        (published,) = await call.json(
            f"name/publish?arg={EMPTY}&key=site&resolve=true&quieter=true&v1compat=true&{SENT}"
        )
        assert published == {"Name": made["Id"], "Value": EMPTY}
        assert await call.json(f"name/resolve?arg={made['Id']}") == [{"Path": EMPTY}]
        (by_id,) = await call.json(
            f"name/publish?arg=bafkqaddwgevxmmraojswg33smq&key={made['Id']}&lifetime=1h&ttl=30s&sequence=9"
        )
        kept = await call.node.parts.names.record(IpnsName.parse(by_id["Name"]))
        assert (kept.record.sequence, kept.record.ttl, kept.record.value) == (
            9,
            30,
            "/ipfs/bafkqaddwgevxmmraojswg33smq",
        )
        (own,) = await call.json(f"name/publish?arg=/ipns/{made['Id']}&resolve=false")
        assert await call.json(f"name/resolve?arg={own['Name']}") == [
            {"Path": "/ipfs/bafkqaddwgevxmmraojswg33smq"}
        ]


async def test_what_cannot_be_published_is_told(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        for command, words in (
            (f"name/publish?arg={EMPTY}&key=nosuch", "no key by the given name"),
            (f"name/publish?arg={EMPTY}&lifetime=soon", "lifetime"),
            (f"name/publish?arg={EMPTY}&lifetime=-1h", "lifetime"),
            (f"name/publish?arg={EMPTY}&lifetime=0s", "lifetime"),
            (f"name/publish?arg={EMPTY}&ttl=-1s", "ttl"),
            (f"name/publish?arg={EMPTY}&sequence=x", "sequence"),
            (f"name/publish?arg={EMPTY}&sequence=-1", "sequence"),
            (f"name/publish?arg={EMPTY}&ttl=1s&nosuch=1", "nosuch"),
            ("name/publish?arg=nonsense", "nonsense"),
            ("name/publish?arg=/ipfs/bafkqaaa/missing", "missing"),
        ):
            assert words in await message(call, command)
        assert "no record" in await message(call, f"name/resolve?arg={call.node.parts.peer}")
