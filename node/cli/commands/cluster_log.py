"""`pinfold cluster sync` and `pinfold cluster compact`: the pinset's log, here and at the other members."""

from __future__ import annotations

import time

import click

from node.cli.api.response import ApiResponse
from node.cli.input.numbers import whole_number
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes
from node.cli.session import CommandSession, json_option, session


@click.command("sync")
@click.option("--wait", is_flag=True, help="Catch up with every connected member before the answer.")
@json_option
@session
def sync(context: CommandSession, wait: bool, as_json: bool) -> None:
    """Catch up with all connected members now, and show how far each member is behind each author."""
    api = context.api()
    if wait:
        for done in api.lines("POST", "/v1/sync", [("wait", "true")]):
            if as_json:
                emit(dict(done.raw))
            else:
                say(_caught_up(done), err=True)
    else:
        api.post("/v1/sync")
    for lag in api.lines("GET", "/v1/sync"):
        if as_json:
            emit(dict(lag.raw))
        else:
            _say_lag(lag)


@click.command("compact")
@click.option(
    "--keep-mib",
    default="0",
    show_default=True,
    metavar="MIB",
    callback=whole_number("MiB", least=0, most=1 << 20),
    help="So much of the log stays in any case.",
)
@json_option
@session
def compact(context: CommandSession, keep_mib: str, as_json: bool) -> None:
    """Cut the pinset's log at this node: what every member has goes; says what stays, and for whom.

    No pin goes. What a member lacks is kept for it, for `cluster.log_keep_days` days.
    """
    last = ApiResponse({})
    for last in context.api().lines("POST", "/v1/compact", [("keep_mib", str(int(keep_mib, 0)))]):
        if not as_json and not last.answers("kept_for"):
            say(f"cut so far: {_size(last.answer('cut'))}", err=True)
    if as_json:
        emit(dict(last.raw))
        return
    say(f"cut {_size(last.answer('cut'))}; {_size(last.answer('left'))} stay")
    for kept in last.answers("kept_for"):
        say(f"  {_size(kept)} that {_named(kept)} is not known to have")


def _caught_up(done: ApiResponse) -> str:
    if error := done.text("error"):
        return f"{_named(done)}: {error}"
    return f"{_named(done)}: all that it has is here"


def _say_lag(lag: ApiResponse) -> None:
    forks = lag.raw.get("forks")
    for number in forks if isinstance(forks, list) else []:
        say(f"{_named(lag)}  signed two different batches under number {number} of one log", err=True)
    behind = lag.answers("behind")
    if lag.raw.get("seen") is None:
        say(f"{_named(lag)}  not known yet: it has not answered since this node started")
        return
    say(f"{_named(lag)}  {'behind' if behind else 'has all'}, as of {_ago(lag.number('seen'))} ago")
    for author in behind:
        known = author.raw.get("written") is not None
        written = f", the newest written {_ago(author.number('written'))} ago" if known else ""
        say(f"  {author.number('batches')} batches of {_named(author, 'author')}{written}")


def _named(answer: ApiResponse, key: str = "peer") -> str:
    return f"{answer.text(key)}  {answer.text('name')}".rstrip()


def _ago(when: float) -> str:
    return f"{max(0.0, time.time() - when):.0f} s"


def _size(size: ApiResponse) -> str:
    return f"{size.number('batches')} batches ({human_bytes(size.number('bytes'))})"
