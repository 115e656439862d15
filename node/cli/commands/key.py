"""`pinfold key`: the private keys that sign names."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.input.byte_stream import PipedContent
from node.cli.input.multipart import CONTENT_TYPE, file_part, last_part
from node.cli.input.numbers import whole_number
from node.cli.output.destination import check_free, force_option, output_path, saved
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session
from node.datadir import identity
from node.datadir.keystore import Keystore
from node.datadir.private_key import MAX_BYTES, KeyFormat, PrivateKey
from node.files.atomic_write import replacing

_FORMATS = [form.value for form in KeyFormat]
_ENDINGS = {KeyFormat.PROTOBUF: "key", KeyFormat.PEM: "pem"}
_PEM_BEGINS = b"-----BEGIN "


@click.group("key")
def command() -> None:
    """Private keys: each signs where its name leads (`name publish`)."""


@command.command("gen")
@click.argument("name")
@click.option("-t", "--type", "kind", type=click.Choice(["ed25519", "rsa"]), default="ed25519")
@click.option("--size", callback=whole_number("bits"), help="Bits of an RSA key (2048).")
@json_option
@session
def gen(context: CommandSession, name: str, kind: str, size: str | None, as_json: bool) -> None:
    """Make a key, called NAME here, and print the name of IPNS that it signs for."""
    query = [("arg", name), ("type", kind), *([("size", size)] if size else [])]
    _told(context.rpc().post("/api/v0/key/gen", query), as_json)


@command.command("list")
@json_option
@session
def list_(context: CommandSession, as_json: bool) -> None:
    """Every key: what it is called here, and the name that it signs for. `self` is the node's own."""
    for key in context.rpc().post("/api/v0/key/list").answers("Keys"):
        if as_json:
            emit({"name": key.text("Name"), "id": key.text("Id")})
        else:
            say(f"{key.text('Id')}  {key.text('Name')}")


@command.command("rename")
@click.argument("name")
@click.argument("new_name")
@click.option("--force", is_flag=True, help="Replace a key that is called so, which is then gone.")
@json_option
@session
def rename(context: CommandSession, name: str, new_name: str, force: bool, as_json: bool) -> None:
    """Call a key otherwise; the name that it signs for stays."""
    query = [("arg", name), ("arg", new_name), ("force", str(force).lower())]
    found = context.rpc().post("/api/v0/key/rename", query)
    if as_json:
        emit({"name": new_name, "was": name, "id": found.text("Id"), "replaced": found.raw.get("Overwrite")})
    else:
        say(f"{found.text('Id')} is called {new_name} now, and was {name}")


@command.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
@session
def remove(context: CommandSession, names: tuple[str, ...], as_json: bool) -> None:
    """Remove keys for good: what was not exported cannot be published under any more."""
    removed = context.rpc().post("/api/v0/key/rm", [("arg", name) for name in names])
    for key in removed.answers("Keys"):
        if as_json:
            emit({"name": key.text("Name"), "id": key.text("Id"), "removed": True})
        else:
            say(f"removed {key.text('Name')}, the key of {key.text('Id')}")


@command.command("import")
@click.argument("name")
@click.argument("file")
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), help="Told from the file where it is not given."
)
@json_option
@session
def import_(context: CommandSession, name: str, file: str, form: str | None, as_json: bool) -> None:
    """Keep the Ed25519 or RSA key that a file holds; "-" is standard input."""
    data = b""
    for piece in PipedContent(file).pieces():
        data += piece
        if len(data) > MAX_BYTES:
            raise Failure(f"{file} is no key: it has more than {MAX_BYTES} bytes")
    told = KeyFormat.PEM if data.lstrip().startswith(_PEM_BEGINS) else KeyFormat.PROTOBUF
    query = [("arg", name), ("format", form or told.value)]
    body = iter((file_part("key"), data, last_part()))
    for answer in context.rpc().upload("/api/v0/key/import", query, CONTENT_TYPE, body):
        _told(answer, as_json)


@command.command("export")
@click.argument("name")
@click.option("-o", "--output", metavar="FILE", help="File to write (default: NAME.key or NAME.pem).")
@click.option("--format", "form", type=click.Choice(_FORMATS), default=KeyFormat.PROTOBUF.value)
@force_option
@json_option
@session
def export(
    context: CommandSession, name: str, output: str | None, form: str, force: bool, as_json: bool
) -> None:
    """Write a key to a file in clear text, for its owner alone; it needs no daemon.

    A holder of the file can publish under its name: keep it safe.
    """
    key, form_ = _read_key(context, name), KeyFormat(form)
    target = (
        output_path(output) if output is not None else Path(f"{name.replace('/', '_')}.{_ENDINGS[form_]}")
    )
    check_free(target, force)
    with replacing(target, durable=True, mode=0o600) as file:
        file.write(key.encode(form_))
    saved(name, target, as_json)


def _read_key(context: CommandSession, name: str) -> PrivateKey:
    """Raises Failure where there is no data folder, NoKey."""
    folder = context.folder
    if not folder.exists:
        raise Failure(f"{folder.root} is no data folder of a node: name it with --path before the command")
    own = PrivateKey.from_seed(identity.load(folder.identity).seed)
    return Keystore(folder.keystore, own).get(name)


def _told(key: ApiResponse, as_json: bool) -> None:
    if as_json:
        emit({"name": key.text("Name"), "id": key.text("Id")})
    else:
        say(key.text("Id"))
