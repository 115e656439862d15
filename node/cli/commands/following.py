"""`pinfold pin follows`, and what `pin add` and `pin rm` do with --follow."""

from __future__ import annotations

import click

from node.cli.api.client import ApiClient, Query
from node.cli.api.response import ApiResponse
from node.cli.input.inputs import Inputs
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session


@click.command("follows")
@json_option
@session
def follows(context: CommandSession, as_json: bool) -> None:
    """Names that are followed: what they led to, newest first, and how many versions stay."""
    for line in context.api().lines("GET", "/v1/follows"):
        if as_json:
            emit(dict(line.raw))
            continue
        say(f"{line.text('path')}  keeps {line.number('keep')}")
        for version in line.answers("versions"):
            say(f"  {version.text('cid')}  since {version.text('since')}")


def check_follow(follow: bool, versions: str | None, *, alone: bool) -> None:
    """`alone`: paths are named, and nothing else is asked for. Raises UsageError."""
    if follow and not alone:
        raise click.UsageError(
            "--follow is for /ipns/ paths on the command line, without --wait and --dry-run"
        )
    if versions and not follow:
        raise click.UsageError("--versions says something only with --follow")


def begin_following(api: ApiClient, path: str, versions: str | None, query: Query) -> ApiResponse:
    """The pin of what it leads to now."""
    kept = [("versions", versions)] if versions else []
    return api.post("/v1/follows", [("path", path), *kept, *query])


def end_following(api: ApiClient, paths: tuple[str, ...], as_json: bool) -> None:
    inputs = Inputs("ended", len(paths))
    for path in paths:
        with inputs.one(path):
            ended = api.delete("/v1/follows", [("path", path)])
            if as_json:
                emit(dict(ended.raw))
            else:
                count = len(ended.texts("released"))
                say(f"{ended.text('path')} is not followed any more, and lets go of {count} pins")
    inputs.finish()
