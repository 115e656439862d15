"""What an operator allows, for all hosts and for one (boxo: PublicGateways; trustless gateway spec)."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from aiohttp import ClientSession
from support.exchanges import RemoteBlocks
from support.gateway import Gateway, open_gateway
from support.sites import KEY, NAME, STATIC, publish

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import CID
from cluster.pin import PinMode, PinOptions
from node.config.sections import GatewayConfig
from node.http.gateway.app import gateway_app
from node.http.listener import ListenerSettings, listen
from node.retrieval.root_blocks import RootBlocks, no_holders

FILES = {"d/index.txt": b"hello\n", "d/sub/big.bin": b"b" * 3000}
EMPTY = "bafkqaaa"


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_NS_MAP", STATIC)


async def pin(gateway: Gateway, cid: CID, mode: PinMode = PinMode.RECURSIVE) -> None:
    await gateway.node.parts.cluster.pin(cid, PinOptions(mode=mode))


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("", "*/*", 406),
        ("/index.txt", "*/*", 406),
        ("/", "text/html", 406),
        ("?format=tar", "", 406),
        ("?format=dag-json", "", 406),
        ("", "application/json", 406),
        ("?format=ipns-record", "", 406),
        ("?format=raw", "", 200),
        ("/?format=raw", "", 200),
        ("/index.txt?format=raw", "", 406),
        ("%2Findex.txt?format=raw", "", 406),
        ("/index.txt?format=car", "", 200),
        ("", "application/vnd.ipld.car", 200),
        ("", "application/vnd.ipld.raw", 200),
    ],
)
async def test_a_trustless_host_gives_only_what_can_be_verified(
    tmp_path: Path, query: str, accept: str, status: int
) -> None:
    async with open_gateway(tmp_path, GatewayConfig(trustless=True)) as gateway:
        root = await gateway.add(FILES)
        answer = await gateway.get(f"/ipfs/{root}{query}", Accept=accept)
        assert answer.status == status
        if status == 406:
            assert "only what can be verified: ask for ?format=raw or ?format=car" in answer.text


async def test_a_trustless_host_gives_records_of_keys_and_no_dnslinks(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(trustless=True)) as gateway:
        root = await gateway.add(FILES)
        await publish(gateway, root)
        assert (await gateway.get(f"/ipns/{KEY.name}?format=ipns-record")).status == 200
        for path in (
            f"{KEY.name}?format=car", f"{KEY.name}", f"{KEY.name}/x?format=ipns-record",
            f"{NAME}?format=car", f"{NAME}/x?format=raw", f"{NAME}?format=ipns-record",
        ):  # fmt: skip
            assert (await gateway.get(f"/ipns/{path}")).status == 406
        assert (await gateway.get("/?format=car", Host=NAME)).status == 406


async def test_words_change_the_settings_for_one_host_and_its_subdomains(tmp_path: Path) -> None:
    hosts = ("gw.example.net deserialized",)
    async with open_gateway(
        tmp_path, GatewayConfig(trustless=True, hosts=hosts, subdomain_hosts=("gw.example.net",))
    ) as gateway:
        root = await gateway.add(FILES)
        assert (await gateway.get(f"/ipfs/{root}/index.txt")).status == 406
        moved = await gateway.get(f"/ipfs/{root}/index.txt", Host="gw.example.net")
        assert moved.headers["Location"] == f"http://{root}.ipfs.gw.example.net/index.txt"
        assert (await gateway.get("/index.txt", Host=f"{root}.ipfs.gw.example.net")).body == b"hello\n"


async def test_a_trustless_subdomain_host_moves_paths_and_gives_cars_there(tmp_path: Path) -> None:
    hosts = ("gw.example.net trustless",)
    async with open_gateway(
        tmp_path, GatewayConfig(hosts=hosts, subdomain_hosts=("gw.example.net",))
    ) as gateway:
        root = await gateway.add(FILES)
        assert (await gateway.get(f"/ipfs/{root}?format=car", Host="gw.example.net")).status == 301
        host = f"{root}.ipfs.gw.example.net"
        assert (await gateway.get("/?format=car", Host=host)).status == 200
        assert (await gateway.get("/index.txt", Host=host)).status == 406
        assert (await gateway.get(f"/ipfs/{root}/index.txt", Host="other.example.net")).body == b"hello\n"


async def test_a_dnslink_that_is_off_for_its_host_leads_nowhere(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(hosts=(f"{NAME} no-dnslink",))) as gateway:
        root = await gateway.add(FILES)
        await publish(gateway, root)
        assert (await gateway.get("/index.txt", Host=NAME)).status == 404
        assert (await gateway.get(f"/ipfs/{root}/index.txt", Host=NAME)).body == b"hello\n"
        assert (await gateway.get(f"/ipns/{NAME}/index.txt")).body == b"hello\n"


async def test_a_gateway_hosts_own_dnslink_is_left_alone_too(tmp_path: Path) -> None:
    async with open_gateway(
        tmp_path, GatewayConfig(hosts=(f"{NAME} no-dnslink",), subdomain_hosts=(NAME,))
    ) as gateway:
        await publish(gateway, await gateway.add(FILES))
        assert (await gateway.get("/index.txt", Host=NAME)).status == 404


async def test_a_host_that_fetches_nothing_answers_404_at_once(tmp_path: Path) -> None:
    far = RemoteBlocks([Block.of(b"far away"), Block.of(b"further")])
    async with open_gateway(tmp_path / "node") as whole:
        parts = whole.node.parts
        settings = replace(parts.config.gateway, hosts=("local.example.net no-fetch",))
        parts = replace(
            parts,
            config=replace(parts.config, gateway=settings),
            content=lambda root, _in_flight: RootBlocks(Blocks(parts.store, far), root, no_holders),
        )
        async with (
            listen(gateway_app(parts), ListenerSettings("gateway", "127.0.0.1", 0)) as listener,
            ClientSession() as client,
        ):
            url, local = f"{listener.url}/ipfs/{Block.of(b'far away').cid}", {"Host": "local.example.net"}
            for path in ("", "?format=raw", "?format=car"):
                async with client.get(url + path, headers=local) as answer:
                    assert answer.status == 404
                    assert "it is not here, and nothing is fetched for this host" in await answer.text()
            assert far.asked == []
            async with client.get(url) as answer:
                assert await answer.read() == b"far away"
            async with client.get(url, headers=local) as answer:
                assert await answer.read() == b"far away"


async def test_only_pinned_content_is_served_below_the_root_of_its_pin(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(only_pinned=True)) as gateway:
        root = await gateway.add(FILES)
        for path in (f"/ipfs/{root}/index.txt", f"/ipfs/{root}?format=car", f"/ipfs/{root}?format=raw"):
            refused = await gateway.get(path)
            assert refused.status == 403
            assert f"{root} is not pinned: this host serves only what its cluster pins" in refused.text
        await pin(gateway, root)
        assert (await gateway.get(f"/ipfs/{root}/index.txt")).body == b"hello\n"
        assert (await gateway.get(f"/ipfs/{root}/sub/big.bin")).body == b"b" * 3000
        assert (await gateway.get(f"/ipfs/{CID.v0(root.multihash)}/index.txt")).body == b"hello\n"
        child = (await gateway.get(f"/ipfs/{root}/sub/")).headers["X-Ipfs-Roots"].split(",")[1]
        assert (await gateway.get(f"/ipfs/{child}/big.bin")).status == 403
        await gateway.node.parts.cluster.unpin(root)
        assert (await gateway.get(f"/ipfs/{root}/index.txt")).status == 403


async def test_a_listing_of_pinned_content_leads_to_nothing_that_is_refused(tmp_path: Path) -> None:
    async with open_gateway(
        tmp_path, GatewayConfig(only_pinned=True, subdomain_hosts=("gw.example.net",))
    ) as gateway:
        root = await gateway.add(FILES)
        await pin(gateway, root)
        for path, host in ((f"/ipfs/{root}/sub/", ""), ("/sub/", f"{root}.ipfs.gw.example.net")):
            page = await gateway.get(path, Host=host or "127.0.0.1")
            own = [link for link in re.findall(r'href="([^"]+)"', page.text) if link.startswith("/")]
            assert any(link.endswith("/sub/big.bin") for link in own)
            for link in own:
                there = link if link.startswith("//") else path
                target = urljoin(f"http://{host or '127.0.0.1'}{there}", link)
                answer = await gateway.get(urlsplit(target).path, Host=urlsplit(target).netloc)
                assert answer.status in (200, 301), target
            assert 'href="https://cid.ipfs.tech/#' in page.text


async def test_an_old_pin_is_found_by_the_cid_of_today(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(only_pinned=True)) as gateway:
        root = await gateway.add(FILES)
        await pin(gateway, CID.v0(root.multihash))
        assert (await gateway.get(f"/ipfs/{root}/index.txt")).body == b"hello\n"


async def test_a_direct_pin_is_its_own_block_alone(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(only_pinned=True)) as gateway:
        root = await gateway.add(FILES)
        await pin(gateway, root, PinMode.DIRECT)
        assert (await gateway.get(f"/ipfs/{root}?format=raw")).status == 200
        for path in (f"/ipfs/{root}/", f"/ipfs/{root}/index.txt", f"/ipfs/{root}?format=car"):
            refused = await gateway.get(path)
            assert refused.status == 403
            assert "pinned directly" in refused.text


async def test_names_are_followed_before_it_is_asked_what_is_pinned(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(only_pinned=True)) as gateway:
        root = await gateway.add(FILES)
        await publish(gateway, root)
        paths = (f"/ipns/{KEY.name}/index.txt", f"/ipns/{KEY.name}?format=ipns-record")
        for path in paths:
            assert (await gateway.get(path)).status == 403
        assert (await gateway.get("/index.txt", Host=NAME)).status == 403
        await pin(gateway, root)
        for path in paths:
            assert (await gateway.get(path)).status == 200
        assert (await gateway.get("/index.txt", Host=NAME)).body == b"hello\n"


async def test_what_clients_probe_a_gateway_with_needs_no_pin(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(only_pinned=True)) as gateway:
        assert (await gateway.get(f"/ipfs/{EMPTY}?format=raw")).status == 200
        assert (await gateway.get("/ipfs/bafkqabtimvwgy3yk")).status == 403
