"""`pinfold name publish|put|get|resolve`."""

from __future__ import annotations

import click

from node.cli.errors import Failure
from node.cli.input.byte_stream import PipedContent
from node.cli.input.inputs import content
from node.cli.input.multipart import CONTENT_TYPE, file_part, last_part
from node.cli.input.numbers import whole_number
from node.cli.output.printing import emit, say, write_out
from node.cli.session import CommandSession, json_option, no_json, session

_MOST = 64 * 1024  # bytes; a record is smaller


@click.group("name")
def command() -> None:
    """Names that lead to content: IPNS records and DNSLinks."""


@command.command("publish")
@click.argument("path")
@click.option("-k", "--key", default="self", help="Key that signs: what it is called, or its name (self).")
@click.option("-t", "--lifetime", help="How long the record is valid: 48h; it is renewed in time.")
@click.option("--ttl", help="How long answers may be cached: 5m.")
@click.option("--sequence", callback=whole_number(least=0), help="Number of the record (the next one).")
@click.option("--resolve/--no-resolve", default=True, help="Make sure first that the path leads somewhere.")
@click.option("--v1compat/--no-v1compat", default=True, help="Sign in the old form too.")
@json_option
@session
def publish(
    context: CommandSession,
    /,
    path: str,
    key: str,
    resolve: bool,
    v1compat: bool,
    as_json: bool,
    **given: str | None,
) -> None:
    """Lead a name of yours to a path; every member of the cluster keeps the record."""
    query = [("arg", content(path)), ("key", key)]
    query += [("resolve", str(resolve).lower()), ("v1compat", str(v1compat).lower())]
    query += [(name, value) for name, value in given.items() if value is not None]
    found = context.rpc().post("/api/v0/name/publish", query)
    if as_json:
        emit({"name": found.text("Name"), "path": found.text("Value")})
    else:
        say(f"published {found.text('Name')}: {found.text('Value')}")


@command.command("put")
@click.argument("name")
@click.argument("record", metavar="FILE")
@json_option
@session
def put(context: CommandSession, name: str, record: str, as_json: bool) -> None:
    """Keep the signed IPNS record of NAME that a file holds; "-" is standard input.

    It is refused where it does not verify, or a newer one is here.
    """
    data = _read(record)
    body = iter((file_part("record"), data, last_part()))
    for _ in context.rpc().upload("/api/v0/name/put", [("arg", name)], CONTENT_TYPE, body):
        continue  # it answers without a word
    if as_json:
        emit({"name": name, "stored": True})
    else:
        say(f"stored the record of {name}")


def _read(record: str) -> bytes:
    """Raises Failure for nothing, and for what is too long to be one; UnreadableFile."""
    data = b""
    for piece in PipedContent(record).pieces():
        data += piece
        if len(data) > _MOST:
            raise Failure(f"{record} is no IPNS record: it has more than {_MOST} bytes")
    if not data:
        raise Failure(f"{record} is empty: it holds no IPNS record")
    return data


@command.command("get")
@click.argument("name")
@no_json("a record's bytes")
@session
def get(context: CommandSession, name: str) -> None:
    """Print the newest IPNS record of NAME that can be had, as bytes."""
    write_out(context.rpc().download("POST", "/api/v0/name/get", [("arg", name)]))


@command.command("resolve")
@click.argument("path")
@json_option
@session
def resolve(context: CommandSession, path: str, as_json: bool) -> None:
    """Print the content path that a name, or a path below one, leads to."""
    found = context.rpc().post("/api/v0/name/resolve", [("arg", path)]).text("Path")
    if as_json:
        emit({"name": path, "path": found})
    else:
        say(found)
