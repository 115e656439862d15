"""Names that are followed, on real nodes: the newest is pinned, the last stay, as does what users pinned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.node import eventually, running_node

from blockstore.block import Block
from blockstore.cid import CID
from cluster.errors import NotPinned
from cluster.pin import PinOptions, Wish
from node.config.sections import Config, NamesConfig
from node.datadir.private_key import PrivateKey
from node.names.errors import NameNotFound
from node.names.name import NamePath, parse_target
from node.names.publishing import Publication
from node.names.signing import name_of
from node.node import Node
from node.services.follow import Follow

BLOCKS = [Block.of(b"version %d" % number) for number in range(6)]
KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
PATH = NamePath(name_of(KEY))


@asynccontextmanager
async def looking(folder: Path, seconds: float = 0.1) -> AsyncIterator[Node]:
    config = replace(Config(), names=NamesConfig(follow=seconds))
    async with running_node(folder, config) as node:
        await node.parts.store.put_many(BLOCKS)
        yield node


async def lead(node: Node, number: int, key: PrivateKey = KEY) -> CID:
    cid = BLOCKS[number].cid
    await node.parts.publishing.publish(key, Publication(parse_target(f"/ipfs/{cid}")))
    return cid


async def pinned(node: Node) -> list[CID]:
    return [pin.cid async for pin in node.parts.pinset.pins()]


async def versions(node: Node, path: NamePath = PATH) -> list[CID]:
    found = await node.parts.following.follows()
    return [one.pin.cid for one in found.get(str(path), ())]


async def until(node: Node, *numbers: int) -> None:
    """The kept versions are these, newest first."""

    async def so() -> bool:
        return await versions(node) == [BLOCKS[number].cid for number in numbers]

    await eventually(so)


async def test_the_newest_is_pinned_and_the_last_ones_stay(tmp_path: Path) -> None:
    async with looking(tmp_path) as node:
        await lead(node, 0)
        wish = Wish(PinOptions(name="site", metadata={"by": "me"}))
        granted = await node.parts.following.begin(Follow(PATH, 2), wish)
        assert (granted.pin.cid, granted.pin.options.name) == (BLOCKS[0].cid, "site")
        for number, kept in ((1, (1, 0)), (2, (2, 1)), (3, (3, 2)), (2, (2, 3))):
            await lead(node, number)
            await until(node, *kept)
        pin = await node.parts.cluster.get_pin(BLOCKS[2].cid)
        assert (pin.options.name, pin.options.metadata["by"]) == ("site", "me")
        assert sorted(map(str, await pinned(node))) == sorted(str(BLOCKS[number].cid) for number in (2, 3))


async def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with looking(tmp_path, 1000) as node:
        await lead(node, 0)
        await node.parts.following.begin(Follow(PATH, 1), Wish())
        await lead(node, 1)
    async with looking(tmp_path) as node:
        await until(node, 1)


async def test_what_a_user_pinned_too_stays_and_the_user_sees_no_marks_change(tmp_path: Path) -> None:
    async with looking(tmp_path) as node:
        cluster = node.parts.cluster
        await cluster.pin(BLOCKS[0].cid, PinOptions(name="mine"))
        await lead(node, 0)
        await node.parts.following.begin(Follow(PATH, 1), Wish(PinOptions(name="site"), frozenset()))
        assert (await cluster.get_pin(BLOCKS[0].cid)).options.name == "mine"
        await lead(node, 1)
        await until(node, 1)
        assert (await cluster.get_pin(BLOCKS[0].cid)).options.name == "mine"
        assert await node.parts.following.end(PATH) == [BLOCKS[1].cid]
        assert await versions(node) == []
        assert await pinned(node) == [BLOCKS[0].cid]


async def test_two_names_that_lead_to_one_cid_each_keep_it(tmp_path: Path) -> None:
    other = NamePath(name_of(OTHER))
    async with looking(tmp_path, 1000) as node:
        for key, path in ((KEY, PATH), (OTHER, other)):
            await lead(node, 0, key)
            await node.parts.following.begin(Follow(path, 1), Wish())
        assert await versions(node) == await versions(node, other) == [BLOCKS[0].cid]
        await node.parts.following.end(PATH)
        assert await versions(node) == []
        assert await versions(node, other) == [BLOCKS[0].cid]
        await node.parts.following.end(other)
        with pytest.raises(NotPinned):
            await node.parts.cluster.get_pin(BLOCKS[0].cid)


async def test_a_name_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    async with looking(tmp_path) as node:
        with pytest.raises(NameNotFound):
            await node.parts.following.begin(Follow(PATH, 1), Wish())
        assert await versions(node) == []
