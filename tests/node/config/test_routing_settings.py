"""Settings of routing: what contradicts is told before a node starts, and `init --public` is one step."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config.config import check, load, with_setting
from node.config.errors import BadConfig
from node.config.sections import Config
from node.datadir.folder import DataFolder
from node.datadir.init import AlreadySetUp, create_node

PEER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"routing.dht": "client", "swarm.enabled": "false"}, "swarm.enabled"),
        ({"routing.public": "true"}, "routing.dht"),
    ],
)
def test_contradictions_are_told(settings: dict[str, str], what: str) -> None:
    config = Config()
    for key, value in settings.items():
        config = with_setting(config, key, value)
    with pytest.raises(BadConfig, match=what):
        check(config)


@pytest.mark.parametrize(
    "value",
    [
        "/dnsaddr/b.example.org",
        f"/dnsaddr//p2p/{PEER}",
        "/ip4/1.2.3.4/tcp/4001",
        "b.example.org",
        "/dnsaddr/a/p2p/x",
    ],
)
def test_what_names_no_server_is_refused(value: str) -> None:
    with pytest.raises(BadConfig, match="bootstrap"):
        with_setting(Config(), "routing.bootstrap", value)


def test_servers_are_named_by_address_or_by_domain() -> None:
    value = f"/dnsaddr/b.example.org/p2p/{PEER},/ip4/1.2.3.4/tcp/4001/p2p/{PEER}"
    assert len(with_setting(Config(), "routing.bootstrap", value).routing.bootstrap) == 2


def test_joining_the_public_network_is_one_step_and_without_it_nothing_of_it_is_set(tmp_path: Path) -> None:
    public, own = DataFolder(tmp_path / "public"), DataFolder(tmp_path / "own")
    create_node(public, name="a", public=True)
    create_node(own, name="b")
    config = load(public.config, {})
    check(config)
    assert (config.swarm.host, config.routing.dht, config.routing.public) == ("0.0.0.0", "client", True)
    assert load(own.config, {}).routing == Config().routing
    with pytest.raises(AlreadySetUp, match="--public changes nothing"):
        create_node(own, public=True)
