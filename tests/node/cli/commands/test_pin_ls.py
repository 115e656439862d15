"""`pinfold pin ls` finds pins by what its options say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
import pytest
from support.command import Said, here
from support.node import running_node
from support.pinset_member import some_cid

from cluster.pin import EVERYWHERE, Pin, PinOptions
from node.cli.main import cli

PINS = [
    Pin(
        some_cid(number),
        PinOptions(
            name=f"{'cat' if number % 2 else 'dog'} {number:02d}",
            replication_max=EVERYWHERE,
            metadata={"app": "x"} if number % 3 else {},
            expire_at=4e9 if number == 4 else None,
        ),
        (),
        1000.0 + number,
    )
    for number in range(20)
]


async def test_what_is_listed_is_what_the_options_say(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        await node.parts.pinset.put_many(PINS)

        async def listed(*options: str) -> Said:
            return await asyncio.to_thread(here, "pin", "ls", *options, path=tmp_path)

        async def names(*options: str) -> list[str]:
            said = await listed("--json", *options)
            return [json.loads(line)["name"] for line in said.out.splitlines()]

        every = [one.options.name for one in PINS]
        assert sorted(await names()) == sorted(every)
        assert await names("--order", "created") == every
        assert await names("--order", "created", "--limit", "3") == every[:3]
        assert await names("--name", "cat 07") == ["cat 07"]
        assert await names("--name-prefix", "cat", "--order", "name") == every[1::2]
        assert await names("--name-contains", "g 1", "--order", "name") == every[10::2]
        assert sorted(await names("--metadata", "app=x")) == sorted(await names("--metadata", "app"))
        assert len(await names("--metadata", "app=y")) == 0
        assert await names("--expires-after", "2h") == ["dog 04"]
        assert await names("--created-after", "24h") == []
        assert len(await names("--created-before", "24h")) == 20
        assert (await listed("--count", "--metadata", "app")).out == "13\n"
        assert json.loads((await listed("--count", "--json")).out) == {"count": 20}
        assert (await listed("--name", "cat 07")).out == f"{some_cid(7)}  everywhere  cat 07  (app=x)\n"
        assert (await listed("--name", "no such")).code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--created-after", "yesterday"), "takes a time such as"),
        (("--limit", "0"), "not in the range"),
        (("--metadata", "a", "--metadata", "b"), "once"),
        (("--count", "bafynotacid"), "either name CIDs"),
    ],
)
def test_what_cannot_be_asked_for_is_a_wrong_call(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    with pytest.raises(click.UsageError, match=says):
        cli.main(["--path", str(tmp_path), "pin", "ls", *options], standalone_mode=False)
