"""Switches as Kubo's command line has them: `--raw-leaves`, `--raw-leaves=false`, `-rw`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

import click


class Switch(click.Option):
    """A boolean that may be given as `--name`, `--name=true` or `--name=false`; None when not given."""

    def __init__(self, names: Sequence[str], help: str = "", default: bool | None = None) -> None:  # noqa: A002 - click's name
        super().__init__(list(names), type=bool, default=default, help=help, metavar="[=true|false]")


class SwitchCommand(click.Command):
    """A command whose switches need no value. Unlike click's flags they may still be given one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        spelled = [word for arg in args[:end] for word in self._spelled(arg)]
        return super().parse_args(ctx, spelled + args[end:])

    def _spelled(self, arg: str) -> Iterator[str]:
        """One argument with every switch in it written as `--name=value`."""
        names = self._switches()
        name, equals, value = arg.partition("=")
        if name in names:
            yield f"{names[name]}={value if equals else 'true'}"
        elif arg.startswith("-") and not arg.startswith("--") and arg != "-":
            letters = arg[1:]
            switches = list(takewhile(lambda letter: f"-{letter}" in names, letters))
            yield from (f"{names[f'-{letter}']}=true" for letter in switches)
            if rest := letters[len(switches) :]:
                yield f"-{rest}"
        else:
            yield arg

    def _switches(self) -> dict[str, str]:
        """Every spelling of each switch, with its long one."""
        return {
            spelling: next(name for name in option.opts if name.startswith("--"))
            for option in self.params
            if isinstance(option, Switch)
            for spelling in option.opts
        }
