"""Numbers on the command line: one base, and no zero in front that might mean another."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import click

_MAX_MODE = 0o7777
_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{ending}": base**power
    for power, prefix in enumerate("KMGT", 1)
    for base, ending in ((1000, "B"), (1024, "IB"))
}

Check = Callable[[click.Context, click.Parameter, str | None], str | None]
"""A callback of click's: the value as it goes on. Raises BadParameter."""


def permissions(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """POSIX permissions in octal, as chmod takes them: 600, 0600, 0o600, 4755.

    The value is what Kubo's `mode` parameter takes: Go keeps setuid, setgid and sticky in bits 23, 22 and 20.
    """
    if value is None:
        return None
    if not re.fullmatch(r"(0o)?[0-7]{1,5}", value):
        raise click.BadParameter(f'"{value}" is not a number in octal, such as 644 or 0755', ctx, param)
    mode = int(value.removeprefix("0o"), 8)
    if not 0 < mode <= _MAX_MODE:
        raise click.BadParameter(f'"{value}" is outside of 1 to {_MAX_MODE:o} (octal)', ctx, param)
    return str(mode & 0o777 | (mode & 0o6000) << 12 | (mode & 0o1000) << 11)


def whole_number(unit: str = "", *, least: int | None = None, most: int | None = None) -> Check:
    """A whole number in decimal, or marked by 0x, 0o or 0b. Go would read 010 as eight."""
    takes = "a whole number" + (f" of {unit}" if unit else "") + " in decimal"
    takes += "" if least is None else f", at least {least}"
    takes += "" if most is None else f", at most {most}"

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is None:
            return None
        fits = re.fullmatch(
            r"[+-]?(0|[1-9][0-9]{0,18}|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,22}|0b[01]{1,64})", value
        )
        number = int(value, 0) if fits else 0
        if not fits or (least is not None and number < least) or (most is not None and number > most):
            raise click.BadParameter(f'"{value}" is not {takes}', ctx, param)
        return value

    return check


def byte_size(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Bytes, or a size with a unit: 500000, 10GB, 1.5GiB. The value is its bytes in decimal, rounded down."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", value)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or (unit == 1 and "." in match[1]):
        raise click.BadParameter(
            f'"{value}" is not a size in bytes, such as 500000, 10GB or 2GiB', ctx, param
        )
    return str(int(Decimal(match[1]) * unit))


def not_zero(check: Check, why: str) -> Check:
    """The same, but 0 is refused: where Kubo takes it for "not given", it would be taken and do nothing."""

    def checked(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        found = check(ctx, param, value)
        if found is not None and int(found, 0) == 0:
            raise click.BadParameter(f'"{value}": {why}', ctx, param)
        return found

    return checked
