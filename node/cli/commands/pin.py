"""`pinfold pin add|rm|ls`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

import click

from blockstore.path import path_of_uri
from node.cli.api.client import ApiClient, Query, segment
from node.cli.api.errors import ApiError
from node.cli.api.listed_pins import listed_pins
from node.cli.api.response import ApiResponse
from node.cli.commands.following import begin_following, check_follow, end_following, follows
from node.cli.errors import Failure
from node.cli.input.inputs import Inputs, content
from node.cli.input.line_upload import LineOptions, file_options, from_file, upload_lines
from node.cli.input.numbers import whole_number
from node.cli.input.pin_filters import filter_query, pin_filters
from node.cli.input.pin_options import asks_for_end, pin_options, pin_query
from node.cli.output.pin_text import copies, details, holders, report_changes
from node.cli.output.plan_text import say_plan
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session

_POLL_SECONDS = 0.5
_NOT_FOUND = 404
_BAD = {"pin_error", "cluster_error"}


def content_route(path: str) -> str:
    """The API's route for a CID, a path (/ipfs/<cid>/a/b) or a URI of one."""
    path = path_of_uri(content(path))
    path = path if path.startswith(("/ipfs/", "/ipns/", "/ipld/")) else f"/ipfs/{path.strip('/')}"
    return "/pins" + quote(path, errors="surrogateescape")


@click.group("pin")
def command() -> None:
    """Add, remove and list what the cluster keeps."""


@command.command("add")
@click.argument("paths", metavar="CID|PATH...", nargs=-1)
@pin_options
@click.option(
    "--mode", type=click.Choice(["recursive", "direct"]), help="All below it (default), or the block alone."
)
@click.option("--follow", is_flag=True, help="Of /ipns/ paths: pin what they lead to next, too.")
@click.option("--versions", callback=whole_number(least=1, most=1000), help="That stay of each (1).")
@click.option("--wait", is_flag=True, help="Return when every member that is to hold it does.")
@click.option("--dry-run", is_flag=True, help="Say who would hold it, and why the others not; pin nothing.")
@file_options
@json_option
@session
def add(
    context: CommandSession,
    /,
    paths: tuple[str, ...],
    follow: bool,
    versions: str | None,
    wait: bool,
    dry_run: bool,
    as_json: bool,
    **options: object,
) -> None:
    """Pin content; answers when the wish is durable. Fetching goes on: see `pinfold status`.

    Of a pin that exists, options that are not given stay as they are. In a file each line is `CID [name]`, or
    JSON such as {"cid":"bafy...","name":"photos"}, whose own options go before those of the command.
    """
    file = from_file(options, paths)
    if dry_run and (wait or file is not None):
        raise click.UsageError("--dry-run is for CIDs on the command line, and there is nothing to wait for")
    check_follow(follow, versions, alone=file is None and not (wait or dry_run))
    if file is not None and wait:
        raise click.UsageError("--wait is for CIDs on the command line: of a file, see `pinfold status`")
    if file is not None:
        lines = LineOptions.of(options, as_json=as_json)
        upload_lines(context.api(), "/v1/pins", pin_query(options), file, lines, "pinning")
        return
    api, query, inputs = context.api(), pin_query(options), Inputs("asked for", len(paths))
    if dry_run:
        query.append(("dry-run", "true"))
    for path in paths:
        with inputs.one(path):
            pin = (
                begin_following(api, path, versions, query)
                if follow
                else api.post(content_route(path), query)
            )
            if dry_run:
                emit(dict(pin.raw)) if as_json else say_plan(pin)
                continue
            report_changes(pin, asks_for_end(query))
            if wait:
                _wait_until_pinned(api, pin.text("cid"))
            if as_json:
                emit(dict(pin.raw))
            else:
                named = f"{pin.text('cid')} {pin.text('name')}".rstrip()
                said = f"{named} {'is' if wait else 'is to be'} pinned by {holders(pin)}"
                say(f"{said}  {details(pin)}".rstrip())
    inputs.finish()


@command.command("rm")
@click.argument("paths", metavar="CID|PATH...", nargs=-1)
@click.option("--follow", is_flag=True, help="End following these /ipns/ paths; their versions go.")
@file_options
@json_option
@session
def rm(
    context: CommandSession, /, paths: tuple[str, ...], follow: bool, as_json: bool, **options: object
) -> None:
    """Unpin content everywhere."""
    file = from_file(options, paths)
    if follow:
        if file is not None:
            raise click.UsageError("--follow is for /ipns/ paths on the command line")
        end_following(context.api(), paths, as_json)
        return
    if file is not None:
        lines = LineOptions.of(options, as_json=as_json)
        upload_lines(context.api(), "/v1/unpins", (), file, lines, "unpinning")
        return
    inputs = Inputs("unpinned", len(paths))
    for path in paths:
        with inputs.one(path):
            pin = _of_pinned(path, partial(context.api().delete, content_route(path)))
            if as_json:
                emit(dict(pin.raw))
            else:
                say(f"unpinned {pin.text('cid')} {pin.text('name')}".rstrip())
    inputs.finish()


command.add_command(follows)


@command.command("ls")
@click.argument("cids", nargs=-1, metavar="[CID...]")
@pin_filters
@click.option("--order", type=click.Choice(["cid", "name", "created", "expiry"]), help="Sorted by that.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only so many.")
@click.option("--count", is_flag=True, help="Only say how many.")
@json_option
@session
def ls(
    context: CommandSession,
    /,
    cids: tuple[str, ...],
    order: str | None,
    limit: int | None,
    count: bool,
    as_json: bool,
    **options: object,
) -> None:
    """List pins: CID, copies, name; where there are any, end, mode and metadata."""
    query = filter_query(options)
    if cids and (query or order or limit or count):
        raise click.UsageError("either name CIDs, or say by options which pins are meant")
    if count:
        _say_count(context.api(), query, as_json)
        return
    sorting = [("order", order)] if order else []
    inputs = Inputs("listed", len(cids))
    for pin in _pins(context.api(), cids, [*query, *sorting], limit, inputs):
        if as_json:
            emit(dict(pin.raw))
            continue
        said = f"{pin.text('cid')}  {copies(pin):<10}  {pin.text('name')}".rstrip()
        say(f"{said}  {details(pin)}".rstrip())
    inputs.finish()


def _say_count(api: ApiClient, query: Query, as_json: bool) -> None:
    found = api.get("/v1/pins/count", query)
    if as_json:
        emit(dict(found.raw))
    else:
        say(str(found.number("count")))


def _pins(
    api: ApiClient, cids: tuple[str, ...], query: Query, limit: int | None, inputs: Inputs
) -> Iterator[ApiResponse]:
    if not cids:
        yield from listed_pins(api, query, limit)
    for cid in cids:
        with inputs.one(cid):
            yield _of_pinned(cid, partial(api.get, f"/allocations/{segment(content(cid))}"))


def _of_pinned(path: str, call: Callable[[], ApiResponse]) -> ApiResponse:
    try:
        return call()
    except ApiError as error:
        if error.status == _NOT_FOUND:
            raise Failure(f"{path}: {error}") from None
        raise


def _wait_until_pinned(api: ApiClient, cid: str) -> None:
    while True:
        peers = [peer for _, peer in api.get(f"/pins/{cid}").answer("peer_map").items()]
        failed = [peer for peer in peers if peer.text("status") in _BAD]
        if failed:
            raise Failure(f"{cid} on {failed[0].text('peername')}: {failed[0].text('error')}")
        if all(peer.text("status") in ("pinned", "remote") for peer in peers):
            return
        time.sleep(_POLL_SECONDS)
