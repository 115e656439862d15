"""`pinfold gc`."""

from __future__ import annotations

import click

from node.cli.api.response import ApiResponse
from node.cli.output.printing import emit, say
from node.cli.output.progress import human_bytes, told_progress
from node.cli.session import CommandSession, json_option, session


@click.command("gc")
@json_option
@session
def command(context: CommandSession, as_json: bool) -> None:
    """Remove blocks that no pin needs from this node; the space goes back to the disk.

    What was added here for other members stays until each of them has it.
    """
    with told_progress(hidden=as_json) as tell:
        for line in context.api().lines("POST", "/v1/gc"):
            if as_json:
                emit(dict(line.raw))
            elif "held" in line.raw:
                said = f"{line.text('held')} {line.text('name')}".rstrip()
                say(f"kept {said}: {line.text('reason')}", err=True)
            elif "removed" in line.raw:
                say(_summary(line))
            elif "cid" not in line.raw:
                tell(_progress(line))


def _progress(line: ApiResponse) -> str:
    marking, removing = line.answer("marking"), line.answer("removing")
    if marking.raw:
        return f"looking at {marking.number('roots')} pins, {marking.number('blocks')} blocks so far"
    freed = human_bytes(removing.number("bytes"))
    return f"removed {removing.number('blocks')} blocks so far, {freed}"


def _summary(line: ApiResponse) -> str:
    held = line.number("pins_held")
    kept = f"; kept those of {held} pins that other members do not have yet" if held else ""
    return f"removed {line.number('removed')} blocks, {human_bytes(line.number('bytes'))}{kept}"
