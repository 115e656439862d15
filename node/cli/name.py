"""`pinfold name put|get|resolve`."""

from __future__ import annotations

import click

from node.cli.context import Failure, Session, say, session, write_out
from node.cli.multipart import CONTENT_TYPE, file_part, last_part
from node.cli.streams import ByteStream

_MOST = 64 * 1024  # bytes; a record is smaller


@click.group("name")
def command() -> None:
    """Names that lead to content: IPNS records and DNSLinks."""


@command.command("put")
@click.argument("name")
@click.argument("record", metavar="FILE")
@session
def put(context: Session, name: str, record: str) -> None:
    """Keep the signed IPNS record of NAME that a file holds; "-" is standard input.

    It is refused where it does not verify, or a newer one is here.
    """
    data = _read(record)
    body = iter((file_part("record"), data, last_part()))
    for _ in context.rpc().upload("/api/v0/name/put", [("arg", name)], CONTENT_TYPE, body):
        continue  # it answers without a word
    say(f"stored the record of {name}")


def _read(record: str) -> bytes:
    """Raises Failure for nothing, and for what is too long to be one; UnreadableFile."""
    data = b""
    for piece in ByteStream(record).pieces():
        data += piece
        if len(data) > _MOST:
            raise Failure(f"{record} is no IPNS record: it has more than {_MOST} bytes")
    if not data:
        raise Failure(f"{record} is empty: it holds no IPNS record")
    return data


@command.command("get")
@click.argument("name")
@session
def get(context: Session, name: str) -> None:
    """Print the newest IPNS record of NAME that can be had, as bytes."""
    write_out(context.rpc().download("POST", "/api/v0/name/get", [("arg", name)]))


@command.command("resolve")
@click.argument("path")
@session
def resolve(context: Session, path: str) -> None:
    """Print the content path that a name, or a path below one, leads to."""
    say(context.rpc().post("/api/v0/name/resolve", [("arg", path)]).text("Path"))
