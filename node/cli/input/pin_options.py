"""The options that every way of pinning takes, and the API's query of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import click

from node.cli.input.numbers import byte_size

Command = TypeVar("Command", bound=Callable[..., object])


def pin_options(function: Command) -> Command:
    """The options that every way of pinning takes. On a pin that exists, those that are not given stay."""
    for option in reversed(
        (
            click.option("--name", help="A name to find the pin by."),
            click.option("--replication", metavar="N", help="Members that hold it (-1 = all)."),
            click.option("--replication-min", metavar="N", help="Members that must hold it."),
            click.option("--replication-max", metavar="N", help="Members that may hold it."),
            click.option(
                "--metadata", multiple=True, metavar="KEY=VALUE", help="Kept with the pin; repeatable."
            ),
            click.option(
                "--expire-in",
                metavar="DURATION",
                help="Unpin after this time, such as 72h or 30m; never = keep it for ever.",
            ),
            click.option("--expire-at", metavar="TIME", help="Unpin then, such as 2030-01-31T12:00:00Z."),
            click.option(
                "--shorten", is_flag=True, help="Let a pin that is to last longer end then all the same."
            ),
            click.option(
                "--max-size",
                metavar="BYTES",
                callback=byte_size,
                help="Pin no larger DAG: 500000, 10GB, 2GiB; 0 = any.",
            ),
            click.option(
                "--deadline",
                metavar="TIME|DURATION",
                help="Stop trying then, where no member has it: 2h, 2030-01-31T12:00:00Z; never.",
            ),
            click.option("--attempts", metavar="N", help="Stop trying after so many that failed; 0 = never."),
        )
    ):
        function = option(function)
    return function


def pin_query(options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Those options as the API takes them. Raises UsageError for what no pin can have."""
    query = [("keep", "true")]
    for name in (
        "name",
        "mode",
        "replication",
        "replication_min",
        "replication_max",
        "expire_in",
        "expire_at",
        "max_size",
        "deadline",
        "attempts",
    ):
        if (value := options.get(name)) is not None:
            query.append((name.replace("_", "-"), str(value)))
    if options.get("shorten"):
        query.append(("shorten", "true"))
    metadata = options.get("metadata")
    for entry in metadata if isinstance(metadata, tuple) else ():
        key, equals, value = str(entry).partition("=")
        if not equals or not key:
            raise click.UsageError(f'--metadata takes KEY=VALUE, not "{entry}"')
        query.append((f"meta-{key}", value))
    _check(query)
    return query


def _check(query: list[tuple[str, str]]) -> None:
    """What is wrong by itself is a wrong call, reported before anything is read or sent."""
    names = [name for name, _ in query]
    if {"expire-in", "expire-at"} <= set(names):
        raise click.UsageError("--expire-in and --expire-at say the same thing: give one of them")
    if twice := {name for name in names if names.count(name) > 1}:
        raise click.UsageError(f"--metadata has {min(twice).removeprefix('meta-')} twice")
    if len(query) > 1:
        from cluster.errors import BadPinValue
        from node.http.errors import BadRequest
        from node.http.rest.pin_options import pin_wish

        for name, value in query:
            if not value and name not in ("name",) and not name.startswith("meta-"):
                raise click.UsageError(f"--{name} takes a value")
        try:
            pin_wish(dict(query))
        except (BadRequest, BadPinValue) as error:
            raise click.UsageError(str(error)) from None


def asks_for_end(query: Iterable[tuple[str, str]]) -> bool:
    """Whether one of them is an end that comes."""
    return any(name in ("expire-in", "expire-at") and value != "never" for name, value in query)
