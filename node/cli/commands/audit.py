"""`pinfold audit`: who changed what on this node."""

from __future__ import annotations

import click

from node.cli.api.response import ApiResponse
from node.cli.input.numbers import whole_number
from node.cli.output.printing import emit, say
from node.cli.session import CommandSession, json_option, session


@click.command("audit")
@click.option(
    "-n",
    "--limit",
    default="100",
    show_default=True,
    metavar="N",
    callback=whole_number("records", least=0, most=10_000),
    help="The newest N records.",
)
@click.option("--name", default="", metavar="NAME", help="Of this token, or user with the secret.")
@click.option("--owner", default="", metavar="NAME", help="Of this owner.")
@click.option("--cid", default="", metavar="CID", help="About this CID.")
@click.option("--method", default="", metavar="METHOD", help="Of this method, such as DELETE.")
@click.option("--since", default="", metavar="TIME", help="From then on: 2026-11-27T15:04:05Z.")
@click.option("--refused", is_flag=True, help="Refused and failed requests alone.")
@click.option("-f", "--follow", is_flag=True, help="Go on with each record as it comes, until Ctrl-C.")
@json_option
@session
def command(
    context: CommandSession, /, limit: str, refused: bool, follow: bool, as_json: bool, **filters: str
) -> None:
    """Who changed what, newest last: requests that change something, and those that were refused."""
    query = [("limit", str(int(limit, 0)))] + [(name, value) for name, value in filters.items() if value]
    query += [(name, "true") for name, wanted in (("refused", refused), ("follow", follow)) if wanted]
    for record in context.api().lines("GET", "/v1/audit", query):
        if as_json:
            emit(dict(record.raw))
        else:
            _say_record(record)


def _say_record(record: ApiResponse) -> None:
    if left_out := record.number("left_out"):
        say(f"  {left_out} refusals in between were not written down")
    what = f"{record.text('method')} {record.text('path')}"
    status = f"{record.number('status')}{' failed' if record.raw.get('failed') else ''}"
    say(f"{record.text('time')}  {status}  {_who(record)}  {record.text('address')}  {what}{_cids(record)}")


def _who(record: ApiResponse) -> str:
    owner = f" ({record.text('owner')})" if record.text("owner") else ""
    name = record.text("name")
    return f"{record.text('by')}{':' if name else ''}{name}{owner}"


def _cids(record: ApiResponse) -> str:
    path, named = record.text("path"), record.texts("cids")
    told = [cid for cid in named if cid not in path]
    more = record.number("count") - len(named)
    return "".join(f"  {cid}" for cid in told) + (f"  and {more} more" if more > 0 else "")
