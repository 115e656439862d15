"""Real TXT records, by a DNS server on loopback: sites, and how long their answers may be kept."""

from dataclasses import replace
from pathlib import Path

from aiohttp import ClientSession
from support.dns_server import Zone, dns_server
from support.gateway import Gateway
from support.node import running_node

from node.config.sections import Config, NamesConfig

CONTENT = "/ipfs/bafkqabtimvwgy3yk"  # an inline file


async def test_a_site_is_cached_as_long_as_its_txt_record(tmp_path: Path) -> None:
    texts = {name: [f"dnslink={CONTENT}"] for name in ("_dnslink.site.example.org", "bare.example.org")}
    ttls = {"_dnslink.site.example.org": 77, "bare.example.org": 5}
    async with dns_server(Zone(texts=texts, ttls=ttls)) as zone, ClientSession() as client:
        config = Config(names=replace(NamesConfig(), resolver=zone.address))
        async with running_node(tmp_path, config) as node:
            gateway = Gateway(node, client)
            for name, most in (("site.example.org", 77), ("bare.example.org", 5)):
                for path, headers in (("/", {"Host": name}), (f"/ipns/{name}", {})):
                    answer = await gateway.get(path, **headers)
                    assert (answer.status, answer.body) == (200, b"hello\n")
                    age = int(answer.headers["Cache-Control"].removeprefix("public, max-age="))
                    assert most - 2 <= age <= most
                    assert answer.headers["Ipfs-Uri"] == f"ipns://{name}{'/' if path == '/' else ''}"
            assert (await gateway.get("/x", Host="none.example.org")).status == 404
            assert (await gateway.get("/ipns/none.example.org")).status == 500
