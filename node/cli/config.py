"""`pinfold config show|get|set`: the settings file, comments kept."""

from __future__ import annotations

import os
from pathlib import Path

import click

from node import config as settings
from node.bounds import Setting
from node.cli.beside import beside
from node.cli.context import Failure, Session, emit, json_option, session


@click.group("config")
def command() -> None:
    """Show, read and change settings. A running daemon takes them up when it is started again."""


@command.command("show")
@json_option
@session
def show(context: Session, as_json: bool) -> None:
    """Every setting with the value in force."""
    values = dict(settings.keys(context.config()))
    if as_json:
        emit({key: _plain(value) for key, value in values.items()})
    else:
        click.echo("\n".join(f"{key} = {_shown(value)}" for key, value in values.items()))


@command.command("get")
@click.argument("key")
@session
def get(context: Session, key: str) -> None:
    """Print one setting, such as gateway.port."""
    values = dict(settings.keys(context.config()))
    if key not in values:
        raise settings.BadConfig(f'unknown setting "{key}"; `pinfold config show` lists them all')
    click.echo(_shown(values[key]))


@command.command("set", context_settings={"ignore_unknown_options": True})  # -1 is a value
@click.argument("key")
@click.argument("value")
@session
def put(context: Session, key: str, value: str) -> None:
    """Change one setting in config.toml, whatever the others are."""
    if not context.folder.exists:
        raise Failure(f"{context.folder.root} is not a data folder: run `pinfold init` first")
    settings.tables(context.folder.config)  # a file that cannot be read is left as it is
    converted = dict(settings.keys(settings.with_setting(settings.Config(), key, value)))[key]
    _write(context.folder.config, key, converted)


def _write(path: Path, key: str, value: Setting) -> None:
    import tomlkit

    document = tomlkit.parse(path.read_text() if path.exists() else "")
    section, _, name = key.partition(".")
    table = document.setdefault(section, tomlkit.table())
    table[name] = _plain(value)
    with beside(path) as fresh:
        fresh.touch(mode=0o600, exist_ok=False)  # a swarm key or a token may come to stand in there
        fresh.write_text(tomlkit.dumps(document))
        os.replace(fresh, path)


def _plain(value: Setting) -> object:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Setting) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
