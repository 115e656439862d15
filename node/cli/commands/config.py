"""`pinfold config show|get|set`: the settings file, comments kept."""

from __future__ import annotations

import codecs
from pathlib import Path

import click

from blockstore.common.text_file import decode_text
from node.cli.errors import Failure
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session
from node.config import config as settings
from node.config.errors import BadConfig
from node.config.sections import Config
from node.config.validation import Setting
from node.files.atomic_write import atomic_write


@click.group("config")
def command() -> None:
    """Show, read and change settings. A running daemon takes them up when it is started again."""


@command.command("show")
@json_option
@session
def show(context: CommandSession, as_json: bool) -> None:
    """Every setting with the value in force."""
    values = dict(settings.keys(context.config()))
    if as_json:
        emit({key: _plain(value) for key, value in values.items()})
    else:
        for key, value in values.items():
            say(f"{key} = {_shown(value)}")


@command.command("get")
@click.argument("key")
@json_option
@session
def get(context: CommandSession, key: str, as_json: bool) -> None:
    """Print one setting, such as gateway.port."""
    values = dict(settings.keys(context.config()))
    if key not in values:
        raise click.UsageError(f'unknown setting "{key}"; `pinfold config show` lists them all')
    if as_json:
        emit({"key": key, "value": _plain(values[key])})
    else:
        say(_shown(values[key]))


@command.command("set", context_settings={"ignore_unknown_options": True})  # -1 is a value
@click.argument("key")
@click.argument("value")
@json_option
@session
def put(context: CommandSession, key: str, value: str, as_json: bool) -> None:
    """Change one setting in config.toml, whatever the others are."""
    if not context.folder.exists:
        raise Failure(f"{context.folder.root} is not a data folder: run `pinfold init` first")
    settings.tables(context.folder.config)  # a file that cannot be read is left as it is
    converted = _converted(key, value)
    _write(context.folder.config, key, converted)
    if as_json:
        emit({"key": key, "value": _plain(converted)})


def _converted(key: str, value: str) -> Setting:
    """Raises UsageError for what is no setting, and for what it does not take."""
    try:
        return dict(settings.keys(settings.with_setting(Config(), key, value)))[key]
    except BadConfig as error:
        raise click.UsageError(str(error)) from None


def _write(path: Path, key: str, value: Setting) -> None:
    """Comments stay, and so do the byte order mark and the line ends that an editor put there."""
    import tomlkit

    before = path.read_bytes() if path.exists() else b""
    document = tomlkit.parse(decode_text(before))
    section, _, name = key.partition(".")
    table = document.setdefault(section, tomlkit.table())
    table[name] = _plain(value)
    text = tomlkit.dumps(document).replace("\n", "\r\n" if b"\r\n" in before else "\n")
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    atomic_write(path, mark + text.encode())


def _plain(value: Setting) -> object:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Setting) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
