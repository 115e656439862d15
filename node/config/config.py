"""Settings: frozen values from config.toml, overridden by the environment, then by the command line.

One section a table, one field a key. Unknown keys are errors: a typing mistake must not switch a limit off.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

from blockstore.common.text_file import BadText, read_text
from node.config.conversion import convert
from node.config.errors import BadConfig
from node.config.sections import Config
from node.config.validation import Setting

ENVIRONMENT_PREFIX = "PINFOLD_"

RETIRED = frozenset({"cluster.batch_age"})
"""Settings of earlier releases that say nothing any more: passed over in a file and in the environment."""


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Defaults, then the file if it exists, then PINFOLD_<SECTION>_<KEY>. Raises BadConfig, OSError."""
    config = Config()
    for section, table in tables(path).items():
        for name, value in table.items():
            if f"{section}.{name}" not in RETIRED:
                config = _with(config, f"{section}.{name}", value, str(path))
    for key, text in _from_environment(environment):
        config = _with(config, key, text, "the environment")
    return config


def tables(path: Path) -> dict[str, dict[str, object]]:
    """The sections of the file as they stand there, if it exists. Raises BadConfig, OSError."""
    try:
        found = tomllib.loads(read_text(path)) if path.exists() else {}
    except (tomllib.TOMLDecodeError, BadText) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise BadConfig(f"{path} cannot be read: it is nested too deeply") from None
    for section, table in found.items():
        if not isinstance(table, dict):
            raise BadConfig(f'{path}: "{section}" is outside any section')
    return found


def _with(config: Config, key: str, value: object, source: str) -> Config:
    """Raises BadConfig that says where the value is from."""
    try:
        return with_setting(config, key, value)
    except BadConfig as error:
        raise BadConfig(f"{source}: {error}") from None


def check(config: Config) -> None:
    """Raises BadConfig for settings that contradict each other: what a node asks before it starts.

    Reading them does not: two that belong together are written one after the other.
    """
    least, most = config.cluster.replication_min, config.cluster.replication_max
    if (least < 0) != (most < 0) or least > most:
        raise BadConfig(
            f"cluster.replication_min ({least}) and cluster.replication_max ({most}) do not fit: "
            "either both are -1 (every member), or both are at least 1 and min is at most max"
        )
    for section in (config.gateway, config.rpc, config.api, config.pinning):
        if bool(section.ssl_cert_file) != bool(section.ssl_key_file):
            raise BadConfig(
                "ssl_cert_file and ssl_key_file of a section go together: set both, or none; there is only "
                f"{section.ssl_cert_file or section.ssl_key_file}"
            )
    _check_routing(config)
    if config.webhooks.urls and not config.webhooks.secret:
        raise BadConfig(
            "webhooks.urls are set and webhooks.secret is not, so a receiver could not tell who posts: set "
            "it to a text of your own, such as what `openssl rand -hex 32` prints"
        )


def _check_routing(config: Config) -> None:
    """Raises BadConfig."""
    if config.routing.dht != "off" and not config.swarm.enabled:
        raise BadConfig(
            f"routing.dht is {config.routing.dht} and swarm.enabled is false: the DHT is on the open "
            "network, so set swarm.enabled to true, or routing.dht to off"
        )
    if config.routing.public and config.routing.dht == "off":
        raise BadConfig("routing.public is true and routing.dht is off: set routing.dht to client or server")


def keys(config: Config | None = None) -> Iterator[tuple[str, Setting]]:
    """Every `section.key` with its value, in order; the defaults without a config."""
    for section in fields(config or Config()):
        table = getattr(config or Config(), section.name)
        for entry in fields(table):
            yield f"{section.name}.{entry.name}", getattr(table, entry.name)


def with_setting(config: Config, key: str, value: object) -> Config:
    """The same config with one `section.key` changed; text is read as its type. Raises BadConfig."""
    section_name, _, name = key.partition(".")
    section = getattr(config, section_name, None)
    if not is_dataclass(section) or name not in {entry.name for entry in fields(section)}:
        raise BadConfig(f'unknown setting "{key}"; `pinfold config show` lists them all')
    kind = get_type_hints(type(section))[name]
    converted = replace(section, **{name: convert(key, kind, value)})  # type: ignore[type-var]  # an instance
    return replace(config, **{section_name: converted})  # type: ignore[arg-type]  # the name is data


def _variable(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    known = {_variable(key): key for key, _ in keys()}
    retired = frozenset(map(_variable, RETIRED))
    # Other programs may keep variables of their own beside ours; a section's name in front makes it ours.
    sections = tuple(f"{ENVIRONMENT_PREFIX}{section.name.upper()}_" for section in fields(Config))
    for name, value in environment.items():
        if name in known:
            yield known[name], value
        elif name.startswith(sections) and name not in retired:
            raise BadConfig(
                f"the environment's {name} names no setting: it is PINFOLD_SECTION_KEY, such as"
                " PINFOLD_GATEWAY_PORT; `pinfold config show` lists them all"
            )
