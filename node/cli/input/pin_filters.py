"""The options by which pins are found, and the API's query of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

_PLAIN = ("name", "name_prefix", "name_contains", "held_by", "allocated_to", "status")
_SOON, _AGO = 1, -1
_TIMES = {"expires_after": _SOON, "expires_before": _SOON, "created_after": _AGO, "created_before": _AGO}


def pin_filters(function: Command) -> Command:
    """All that are given must hold."""
    for option in reversed(
        (
            click.option("--name", help="Exactly that name."),
            click.option("--name-prefix", metavar="TEXT", help="Names that begin so."),
            click.option("--name-contains", metavar="TEXT", help="Names with that in them."),
            click.option(
                "--metadata",
                multiple=True,
                metavar="KEY[=VALUE]",
                help="That key, with that value; repeatable.",
            ),
            click.option("--held-by", metavar="PEER", help="What that member is to hold."),
            click.option("--allocated-to", metavar="PEER", help="The same without what is everywhere."),
            click.option("--expires-before", metavar="TIME", help="2030-01-31T12:00:00Z, or in 72h."),
            click.option("--expires-after", metavar="TIME"),
            click.option("--created-after", metavar="TIME", help="2026-01-31T12:00:00Z, or 24h ago."),
            click.option("--created-before", metavar="TIME"),
            click.option("--status", metavar="LIST", help="On this node, such as error,pinning,queued."),
        )
    ):
        function = option(function)
    return function


def filter_query(options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Those options as the API takes them. Raises UsageError."""
    query = [
        (name.replace("_", "-"), str(value)) for name in _PLAIN if (value := options.get(name)) is not None
    ]
    for name, direction in _TIMES.items():
        if (value := options.get(name)) is not None:
            query.append((name.replace("_", "-"), _moment(name, str(value), direction)))
    metadata = options.get("metadata")
    for entry in metadata if isinstance(metadata, tuple) else ():
        key, equals, value = str(entry).partition("=")
        query.append((f"meta-{key}", value) if equals else ("has-meta", key))
    names = [name for name, _ in query]
    if twice := {name for name in names if names.count(name) > 1}:
        raise click.UsageError(f"{min(twice)} can be asked for once")
    return query


def _moment(name: str, text: str, direction: int) -> str:
    """A time as it is, a duration as the time so far from now."""
    from node.http.go.durations import parse_duration, parse_time

    try:
        away = timedelta(seconds=direction * parse_duration(text))
        return (datetime.now(UTC) + away).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        try:
            parse_time(text)
        except ValueError:
            raise click.UsageError(
                f"--{name.replace('_', '-')} takes a time such as 2030-01-31T12:00:00Z or a duration such as"
                f' 72h, not "{text}"'
            ) from None
    return text
