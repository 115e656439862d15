"""`pinfold status`: who has it, who is fetching it, what went wrong where."""

from __future__ import annotations

from collections.abc import Iterator

import click

from node.cli.api.client import ApiClient, segment
from node.cli.api.response import ApiResponse
from node.cli.commands.status_watch import watched
from node.cli.input.inputs import Inputs, content
from node.cli.output.pin_text import copies, details
from node.cli.output.printing import emit, say, say_lines, shortened
from node.cli.output.progress import duration, human_bytes
from node.cli.session import CommandSession, json_option, session
from node.unicode_safety import spelled

MAX_WATCHED = 100
"""CIDs that one listener may name."""


@click.command("status")
@click.argument("cids", nargs=-1, metavar="[CID...]")
@click.option(
    "--filter", "statuses", default="", metavar="LIST", help="Only these, such as error,pinning,queued."
)
@click.option("--local", is_flag=True, help="Ask this node alone.")
@click.option("--watch", is_flag=True, help="Go on, and print each status again when it changes.")
@json_option
@session
def command(
    context: CommandSession, cids: tuple[str, ...], statuses: str, local: bool, watch: bool, as_json: bool
) -> None:
    """Who holds each pin, who is fetching it, and what went wrong where."""
    _check(statuses)
    if watch:
        _watch(context.api(), cids, statuses, local, as_json)
    if not cids:
        _say_migration(context.api())
        _say_snapshot(context.api())
        _say_store(context.api())
    inputs = Inputs("listed", len(cids))
    for info in _infos(context.api(), cids, statuses, local, inputs):
        _print(info, as_json)
    inputs.finish()


def _print(info: ApiResponse, as_json: bool) -> None:
    if as_json:
        emit(dict(info.raw))
    else:
        say_lines(_lines(info))


def _watch(api: ApiClient, cids: tuple[str, ...], statuses: str, local: bool, as_json: bool) -> None:
    """Until Ctrl-C. Raises UsageError."""
    if statuses:
        raise click.UsageError(
            "--filter chooses among statuses as they are now; --watch shows how they change"
        )
    if len(cids) > MAX_WATCHED:
        raise click.UsageError(f"--watch takes {MAX_WATCHED} CIDs at most; without any it shows all changes")
    for info in watched(api, [content(cid) for cid in cids], [("local", "true")] if local else []):
        _print(info, as_json)


def _lines(info: ApiResponse) -> Iterator[str]:
    yield _head(info)
    peers = sorted(info.answer("peer_map").items())
    names = [spelled(peer.text("peername")) or peer_id for peer_id, peer in peers]
    width = max(map(len, names), default=0)
    for name, (_, peer) in zip(names, peers, strict=True):
        yield f"  {name:<{width}}  {_line(peer)}"


def _say_migration(api: ApiClient) -> None:
    """While a pinset of an earlier release is brought forward."""
    found = api.get("/v1/health").answer("migration")
    if found.raw:
        done, rows = found.number("done"), found.number("rows")
        say(
            f"the pinset is brought forward to this release: {done} of {rows} rows; all answers are whole"
            " meanwhile, those by holder or time slower",
            err=True,
        )


def _say_snapshot(api: ApiClient) -> None:
    """While this node starts from another member's documents."""
    found = api.get("/v1/health").answer("snapshot")
    if found.raw:
        percent = found.number("percent")
        say(f"the pinset comes from another member, {percent} % so far: lists are not whole yet", err=True)


_SAID = {
    "low": "storage of this node is nearly full: unpin something and run `pinfold gc`, or raise the quota",
    "full": "storage of this node is full: it reads, unpins and collects; to store more it needs room",
}


def _say_store(api: ApiClient) -> None:
    """What the disk spoilt, and how far the pass over all blocks is."""
    health = api.get("/v1/health")
    if damaged := health.number("damaged_blocks"):
        say(
            f"{damaged} blocks are damaged on this node's disk, and have not come again: look at the disk;"
            " `pinfold store check --repair` fetches them now",
            err=True,
        )
    if (state := health.answer("storage").text("state")) in _SAID:
        say(_SAID[state], err=True)
    moving = health.answer("moving")
    if moving.raw:
        left, moved = human_bytes(moving.number("left")), human_bytes(moving.number("moved"))
        say(f"blocks move into volumes: {moved} so far, at most {left} to go; all are served", err=True)
    scrub = health.answer("scrub")
    if scrub.raw.get("running") is True:
        size = human_bytes(scrub.number("bytes"))
        say(f"scrubbing: {scrub.number('blocks')} blocks are sound so far, {size}", err=True)


def _check(statuses: str) -> None:
    """Raises UsageError for a status that there is not."""
    if statuses:
        from node.http.errors import BadRequest
        from node.http.rest.status_filter import status_filter

        try:
            status_filter(statuses)
        except BadRequest as error:
            raise click.UsageError(f"--filter: {error}") from None


def _infos(
    api: ApiClient, cids: tuple[str, ...], statuses: str, local: bool, inputs: Inputs
) -> Iterator[ApiResponse]:
    here = [("local", "true")] if local else []
    if not cids:
        yield from api.lines("GET", "/pins", [*here, ("filter", statuses)])
    for cid in cids:
        with inputs.one(cid):
            yield api.get(f"/pins/{segment(content(cid))}", here)


def _head(info: ApiResponse) -> str:
    """The pin: CID, name, and what is asked of it; the CID alone where nothing is."""
    said = f"{info.text('cid')}  {info.text('name')}".rstrip()
    asked = f"  {copies(info)}  {details(info)}" if info.text("mode") else ""
    return f"{said}{asked}".rstrip()


def _line(peer: ApiResponse) -> str:
    parts = [peer.text("status").replace("_", " ")]
    progress = peer.answer("progress")
    if progress.raw and peer.text("status") == "pinning":
        have = f"{progress.number('blocks')} blocks, {human_bytes(progress.number('bytes'))}"
        parts.append(f"{have}, {progress.number('pending')} blocks to come{pace(progress)}")
    if peer.text("error"):
        parts.append(shortened(peer.text("error")))
    if peer.number("attempt_count") > 1:
        parts.append(f"{peer.number('attempt_count')} attempts")
    if peer.text("retry_at"):
        parts.append(f"next try {peer.text('retry_at')}")
    return "  ".join(parts)


def pace(progress: ApiResponse) -> str:
    """How fast, and how long it takes, as far as that is known."""
    parts = [f"{human_bytes(progress.number('rate'))}/s"] if progress.number("rate") else []
    if "remaining" in progress.raw:
        parts.append(f"about {human_bytes(progress.number('remaining'))} left")
    if "seconds_left" in progress.raw:
        parts.append(f"{duration(progress.number('seconds_left'))} to go")
    return "".join(f", {part}" for part in parts)
