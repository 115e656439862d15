"""A file of lines sent to the node: the options for that, and the loop over its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import click

from node.cli.api.client import ApiClient, Query
from node.cli.input.line_file import CONTENT_TYPE, LineFile, text_or_json
from node.cli.input.numbers import whole_number
from node.cli.output.line_report import FailedLines, LineReport, told_where_to_go_on
from node.cli.output.progress import line_progress

Command = TypeVar("Command", bound=Callable[..., object])


def line_options(function: Command) -> Command:
    """How to go on with a file that was interrupted or had bad lines in it."""
    for option in (
        click.option(
            "--failed", metavar="FILE", help="Write the lines that failed to this file, as they were."
        ),
        click.option(
            "--skip",
            default="0",
            metavar="N",
            callback=whole_number("lines", least=0),
            help="Pass over the first N lines, which are done.",
        ),
    ):
        function = option(function)
    return function


def file_options(function: Command) -> Command:
    """A file in place of arguments."""
    source = click.option(
        "--from-file", metavar="FILE", help="Take a line for each pin from FILE (-: standard input)."
    )
    return source(line_options(function))


def from_file(options: Mapping[str, object], arguments: Sequence[str]) -> LineFile | None:
    """The file that is named, if one is. Raises UsageError unless there is either a file or arguments."""
    file = options.get("from_file")
    if (file is None) == (not arguments):
        raise click.UsageError("name CIDs, or a file of them with --from-file: one of the two")
    if file is None and (options.get("failed") is not None or options.get("skip") != "0"):
        raise click.UsageError("--skip and --failed are about the lines of --from-file")
    return LineFile(str(file), _skipped(options), text_or_json) if file is not None else None


def _skipped(options: Mapping[str, object]) -> int:
    return int(str(options["skip"]), 0)


@dataclass(frozen=True, slots=True)
class LineOptions:
    """What `line_options` and the command's own `--json` say."""

    skip: int
    failed: str | None
    as_json: bool

    @classmethod
    def of(cls, options: Mapping[str, object], *, as_json: bool) -> LineOptions:
        failed = options.get("failed")
        return cls(_skipped(options), str(failed) if failed is not None else None, as_json)


def upload_lines(
    api: ApiClient, route: str, query: Query, file: LineFile, options: LineOptions, what: str
) -> None:
    """Send the lines of a file and report what came of them; `what` stands beside the bar.

    Raises Failure where lines failed, and what ended the work.
    """
    with closing(FailedLines(options.failed, file.path, again=bool(options.skip))) as failed:
        report = LineReport(options.skip, failed.path, as_json=options.as_json)
        quiet = () if options.as_json else (("quiet", "true"),)
        with told_where_to_go_on(report), line_progress(what, file.size()) as advance:
            for answer in api.upload(route, [*query, *quiet], CONTENT_TYPE, file.body()):
                failure = report.take(answer)
                done = list(file.until(report.durable))
                advance(len(done), sum(len(line.text) + 1 for line in done))
                if failure:
                    failed.add(done[-1].text)
        report.finish()
