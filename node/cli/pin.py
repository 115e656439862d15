"""`pinfold pin add|rm|ls`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import click

from blockstore.path import path_of_uri
from node.cli.context import Failure, Session, emit, json_option, say, session
from node.client import Answer, ApiError, Client

Command = TypeVar("Command", bound=Callable[..., object])

_POLL_SECONDS = 0.5
_NOT_FOUND = 404
_BAD = {"pin_error", "cluster_error"}


def pin_options(function: Command) -> Command:
    """The options that every way of pinning takes."""
    for option in reversed(
        (
            click.option("--name", default="", help="A name to find the pin by."),
            click.option("--replication", type=int, help="Members that hold it (-1 = all)."),
            click.option("--replication-min", type=int, help="Members that must hold it."),
            click.option("--replication-max", type=int, help="Members that may hold it."),
            click.option(
                "--metadata", multiple=True, metavar="KEY=VALUE", help="Kept with the pin; repeatable."
            ),
            click.option(
                "--expire-in", metavar="DURATION", help="Unpin after this time, such as 72h or 30m."
            ),
        )
    ):
        function = option(function)
    return function


def pin_query(options: dict[str, object]) -> list[tuple[str, str]]:
    """Those options as the API takes them. Raises UsageError for a metadata entry without `=`."""
    query = []
    for name in ("name", "replication", "replication_min", "replication_max", "expire_in"):
        if (value := options.get(name)) not in (None, ""):
            query.append((name.replace("_", "-"), str(value)))
    metadata = options.get("metadata")
    for entry in metadata if isinstance(metadata, tuple) else ():
        key, equals, value = str(entry).partition("=")
        if not equals:
            raise click.UsageError(f'--metadata takes KEY=VALUE, not "{entry}"')
        query.append((f"meta-{key}", value))
    return query


def content_route(path: str) -> str:
    """The API's route for a CID, a path (/ipfs/<cid>/a/b) or a URI of one."""
    path = path_of_uri(path)
    path = path if path.startswith(("/ipfs/", "/ipns/", "/ipld/")) else f"/ipfs/{path.strip('/')}"
    return "/pins" + quote(path)


@click.group("pin")
def command() -> None:
    """Add, remove and list what the cluster keeps."""


@command.command("add")
@click.argument("paths", metavar="CID|PATH...", nargs=-1, required=True)
@pin_options
@click.option("--mode", type=click.Choice(["recursive", "direct"]), default="recursive")
@click.option("--wait", is_flag=True, help="Return when every member that is to hold it does.")
@json_option
@session
def add(
    context: Session, /, paths: tuple[str, ...], wait: bool, mode: str, as_json: bool, **options: object
) -> None:
    """Pin content; answers when the wish is durable. Fetching goes on: see `pinfold status`."""
    api, query = context.api(), pin_query(options)
    for path in paths:
        pin = api.post(content_route(path), [*query, ("mode", mode)])
        if wait:
            _wait_until_pinned(api, pin.text("cid"))
        _show(pin, "pinned", as_json)


@command.command("rm")
@click.argument("paths", metavar="CID|PATH...", nargs=-1, required=True)
@json_option
@session
def rm(context: Session, paths: tuple[str, ...], as_json: bool) -> None:
    """Unpin content everywhere."""
    for path in paths:
        pin = _of_pinned(path, partial(context.api().delete, content_route(path)))
        _show(pin, "unpinned", as_json)


@command.command("ls")
@click.argument("cids", nargs=-1, metavar="[CID...]")
@json_option
@session
def ls(context: Session, cids: tuple[str, ...], as_json: bool) -> None:
    """List pins: CID, replication, name."""
    for pin in _pins(context.api(), cids):
        if as_json:
            emit(dict(pin.raw))
            continue
        least, most = pin.number("replication_factor_min"), pin.number("replication_factor_max")
        spread = "everywhere" if most == -1 else f"{least}-{most}"
        say(f"{pin.text('cid')}  {spread:<10}  {pin.text('name')}")


def _show(pin: Answer, verb: str, as_json: bool) -> None:
    if as_json:
        emit(dict(pin.raw))
    else:
        say(f"{verb} {pin.text('cid')} {pin.text('name')}")


def _pins(api: Client, cids: tuple[str, ...]) -> Iterator[Answer]:
    if not cids:
        yield from api.lines("GET", "/allocations", [("filter", "all")])
    for cid in cids:
        yield _of_pinned(cid, partial(api.get, f"/allocations/{cid}"))


def _of_pinned(path: str, call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except ApiError as error:
        if error.status == _NOT_FOUND:
            raise Failure(f"{path}: {error}") from None
        raise


def _wait_until_pinned(api: Client, cid: str) -> None:
    while True:
        peers = [peer for _, peer in api.get(f"/pins/{cid}").answer("peer_map").items()]
        failed = [peer for peer in peers if peer.text("status") in _BAD]
        if failed:
            raise Failure(f"{cid} on {failed[0].text('peername')}: {failed[0].text('error')}")
        if all(peer.text("status") in ("pinned", "remote") for peer in peers):
            return
        time.sleep(_POLL_SECONDS)
