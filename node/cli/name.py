"""`pinfold name put|get|resolve`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from node.cli.context import Session, say, session, write_out
from node.cli.multipart import CONTENT_TYPE, file_part, last_part

_MOST = 64 * 1024  # bytes; a record is smaller, and what is cut here is refused by the node


@click.group("name")
def command() -> None:
    """Names that lead to content: IPNS records and DNSLinks."""


@command.command("put")
@click.argument("name")
@click.argument("record", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@session
def put(context: Session, name: str, record: Path) -> None:
    """Keep the signed IPNS record of NAME that a file holds.

    It is refused where it does not verify, or a newer one is here.
    """
    body = _body(record)
    for _ in context.rpc().upload("/api/v0/name/put", [("arg", name)], CONTENT_TYPE, body):
        continue  # it answers without a word
    say(f"stored the record of {name}")


def _body(record: Path) -> Iterator[bytes]:
    yield file_part(record.name)
    with record.open("rb") as file:
        yield file.read(_MOST)
    yield last_part()


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
