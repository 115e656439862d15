"""`pinfold state export|import`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from node.cli.api.client import ApiClient
from node.cli.input.byte_stream import STDIN
from node.cli.input.line_file import LineFile
from node.cli.input.line_upload import LineOptions, line_options, upload_lines
from node.cli.input.numbers import whole_number
from node.cli.output.destination import check_free, force_option, output_file, output_path, saved
from node.cli.output.printing import write_out
from node.cli.output.progress import line_progress
from node.cli.session import CommandSession, json_option, session

_ROUTE = "/v1/state"
_factor = whole_number("members", least=-1, most=1024)


@click.group("state")
def command() -> None:
    """All pins in one file, in the format of `ipfs-cluster-service state export` and `import`."""


@command.command("export")
@click.argument("file", metavar="[FILE]", default=STDIN)
@force_option
@json_option
@session
def export(context: CommandSession, file: str, force: bool, as_json: bool) -> None:
    """Write every pin as it is at this moment, a JSON object a line (default, and -: standard output)."""
    if file == STDIN:
        if as_json:
            raise click.UsageError("standard output gets the pins, as JSON: --json goes with a FILE")
        write_out(_pins(context.api(), hidden=sys.stdout is None or sys.stdout.isatty()))
        return
    target = output_path(file)
    check_free(target, force)
    with output_file(target) as written:
        for part in _pins(context.api(), hidden=False):
            written.write(part)
    saved("the pinset", target, as_json)


def _pins(api: ApiClient, *, hidden: bool) -> Iterator[bytes]:
    with (
        api.opened("GET", _ROUTE) as answer,
        line_progress("exporting", answer.number("X-Total-Count"), hidden=hidden) as advance,
    ):
        for part in answer.body():
            yield part
            count = part.count(b"\n")
            advance(count, count)


@command.command("import")
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only say what would come of each line.")
@click.option("--replication-min", metavar="N", callback=_factor, help="Of all pins, in place of the file's.")
@click.option("--replication-max", metavar="N", callback=_factor, help="Of all pins, in place of the file's.")
@line_options
@json_option
@session
def import_(
    context: CommandSession,
    /,
    file: str,
    dry_run: bool,
    replication_min: str | None,
    replication_max: str | None,
    as_json: bool,
    **options: object,
) -> None:
    """Pin every line of a state export (-: standard input), of ipfs-cluster or of `pinfold state export`.

    A pin that exists gets the options of the file; pins that the file does not have stay.
    """
    given = {"replication-min": replication_min, "replication-max": replication_max}
    query = [(name, str(int(value, 0))) for name, value in given.items() if value is not None]
    query += [("dry-run", "true")] if dry_run else []
    what = "looking at" if dry_run else "importing"
    lines = LineOptions.of(options, as_json=as_json)
    upload_lines(context.api(), _ROUTE, query, LineFile(file, lines.skip), lines, what)
