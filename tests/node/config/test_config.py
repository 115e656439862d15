"""Settings: defaults, then the file, then the environment; a mistake names the key and what it takes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from node.config.config import check, keys, load, with_setting
from node.config.errors import BadConfig
from node.config.sections import Config


def test_the_environment_overrides_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[gateway]\nport = 81\nhost = "::1"\n[swarm]\nenabled = false\n')
    config = load(
        file, {"PINFOLD_GATEWAY_PORT": "82", "PINFOLD_CLUSTER_TAGS": "group=b, disk=ssd", "HOME": "/"}
    )
    assert (config.gateway.port, config.gateway.host, config.rpc.port) == (82, "::1", 5001)
    assert config.swarm.enabled is False
    assert config.cluster.tags == ("group=b", "disk=ssd")


def test_a_setting_of_an_earlier_release_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[cluster]\nbatch_age = 0.02\nbatch_size = 7\n")
    assert load(path, {"PINFOLD_CLUSTER_BATCH_AGE": "1"}).cluster.batch_size == 7
    with pytest.raises(BadConfig, match="batch_age"):
        with_setting(Config(), "cluster.batch_age", "1")


def test_without_a_file_there_are_defaults_and_they_are_within_their_own_bounds(tmp_path: Path) -> None:
    assert load(tmp_path / "none", {}) == Config()
    check(Config())
    for key, value in keys():
        assert dict(keys(with_setting(Config(), key, value)))[key] == value


def test_every_setting_can_be_given_as_text(tmp_path: Path) -> None:
    for key, value in keys():
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        assert dict(keys(with_setting(Config(), key, text)))[key] == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[gateway]\nprot = 1\n", r'unknown setting "gateway.prot"; `pinfold config show`'),
        ("[portal]\nport = 1\n", r'unknown setting "portal.port"'),
        ("port = 1\n", r'"port" is outside any section'),
        ("[gateway\n", r"config.toml cannot be read: .*line 1"),
        ("[gateway]\nport = '80'\nport = 81\n", r"config.toml cannot be read"),
        ("[gateway]\nport = 80.5\n", r'"gateway.port" takes a whole number, not 80.5'),
        ("[swarm]\nenabled = 2\n", r'"swarm.enabled" takes true or false, not 2'),
        ("[cluster]\ntags = [1]\n", r'"cluster.tags" takes a list of texts'),
        ("a = " + "[" * 5000, r"config.toml cannot be read: it is nested too deeply"),
        ("[cluster]\npin_timeout = inf\n", r'"cluster.pin_timeout" takes a number that is not negative'),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(BadConfig, match=says):
        load(file, {})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfig, match=r"config.toml cannot be read"):
        load(tmp_path / "config.toml", {})


def test_a_variable_that_names_no_setting_is_refused_except_those_that_are_none() -> None:
    with pytest.raises(BadConfig, match="PINFOLD_GATEWAY_PROT names no setting"):
        load_environment(PINFOLD_GATEWAY_PROT="1")
    assert load_environment(PINFOLD_PATH="/x", PINFOLD_PEERS="/y", PINFOLD_OF_OTHERS="z") == Config()


def load_environment(**variables: str) -> Config:
    return load(Path("/nowhere/config.toml"), variables)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gateway.port", -1),
        ("gateway.first_byte_timeout", 0),
        ("gateway.subdomain_hosts", "https://gw.example.org"),
        ("gateway.subdomain_hosts", "localhost, gw.example.org:8443"),
        ("gateway.subdomain_hosts", "*.gw.example.org"),
        ("gateway.subdomain_hosts", "b\u00fccher.example"),
        ("gateway.hosts", "example.org truthless"),
        ("gateway.hosts", "example.org trustless deserialized"),
        ("gateway.hosts", "example.org no-fetch, EXAMPLE.org trustless"),
        ("gateway.hosts", "https://example.org trustless"),
        ("gateway.hosts", ("",)),
        ("gateway.host", "foo bar"),
        ("gateway.host", "a" * 64),
        ("api.host", "\x1b[31m"),
        ("rpc.host", "%s"),
        ("gateway.access_log", "/var/log/a\0b"),
        ("cluster.port", 65536),
        ("storage.quota", -1),
        ("cluster.reconcile_interval", math.nan),
        ("cluster.replication_min", 0),
        ("cluster.replication_max", -2),
        ("cluster.concurrent_pins", 0),
        ("cluster.allocate_by", "size"),
        ("cluster.tags", "group"),
        ("cluster.announce", "/ip4/192.0.2.7"),
        ("swarm.peers", "/ip4/192.0.2.7/tcp/4001"),
        ("retrieval.gateways", "gateway.example.org"),
        ("retrieval.gateways", "ftp://gateway.example.org"),
        ("retrieval.gateways", "https://user@gateway.example.org"),
        ("retrieval.gateways", "https://gateway.example.org:99999"),
        ("retrieval.gateways", "https://gateway.example.org?a=b"),
        ("retrieval.gateways", "https:///ipfs"),
    ],
)
def test_a_value_out_of_bounds_is_refused(key: str, value: str | float | tuple[str, ...]) -> None:
    with pytest.raises(BadConfig, match=f'setting "{key}" takes '):
        with_setting(Config(), key, value)


@pytest.mark.parametrize(
    "urls",
    [
        "https://gateway.example.org, http://127.0.0.1:8080/",
        "http://[::1]:8080",
        "https://example.org:443/a/path",
        "http://node_1:65535",
    ],
)
def test_urls_of_gateways_are_taken(urls: str) -> None:
    assert len(with_setting(Config(), "retrieval.gateways", urls).retrieval.gateways) == urls.count("://")


@pytest.mark.parametrize(("least", "most"), [(2, -1), (-1, 2), (3, 2)])
def test_copies_that_contradict_each_other_are_refused_when_the_node_starts(least: int, most: int) -> None:
    config = with_setting(Config(), "cluster.replication_min", least)
    config = with_setting(config, "cluster.replication_max", most)
    with pytest.raises(BadConfig, match=r"replication_min .* and cluster.replication_max"):
        check(config)
