"""`pinfold daemon`: the node itself, until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from typing import TypeVar

import click

from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.input.numbers import whole_number
from node.cli.output.printing import let_go_of_output, say
from node.cli.session import CommandSession, no_json, session
from node.cli.signals import stopping_at_signals
from node.config import config as settings
from node.config.sections import Config
from node.log.handler import begin_log

Command = TypeVar("Command", bound=Callable[..., object])

FACES = {
    "gateway": "the gateway",
    "rpc": "the RPC",
    "api": "the cluster REST API",
    "swarm": "the open IPFS network",
    "cluster": "the members' network",
    "bulk": "bulk between members",
    "metrics": "the metrics",
    "pinning": "the Pinning Service API",
}

_PORT = whole_number(least=0, most=65535)
_GARBAGE = 5000  # objects more than before until new ones are looked through: about 2 ms


def _port_options(function: Command) -> Command:
    for face, what in reversed(FACES.items()):
        function = click.option(
            f"--{face}-port", metavar="PORT", callback=_PORT, help=f"Port of {what}; 0 = any."
        )(function)
    return function


@click.command("daemon")
@_port_options
@click.option("--init", "create", is_flag=True, help="Run `pinfold init` first where that was not done yet.")
@click.option("--offline", is_flag=True, help="Ask no peer for blocks and join no network.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What is logged.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="The form of a line.")
@no_json("a log")
@session
def command(context: CommandSession, /, create: bool, offline: bool, **options: str | None) -> None:
    """Run the node. Ctrl-C stops it cleanly; a second one at once. The log goes to standard error."""
    os.umask(0o077)  # whatever it writes is for its owner alone
    config = _with_options(context.config(), options)
    settings.check(config)
    begin_log(config.log.level, config.log.format, debug=_debugging())
    if not context.folder.exists:
        if not create:
            raise Failure(f"{context.folder.root} is not a data folder: run `pinfold init` first")
        from node.datadir.init import create_node

        create_node(context.folder)
    _loop_runner()(_serve(context, config, offline))


def _with_options(config: Config, options: dict[str, str | None]) -> Config:
    """`gateway_port` is `gateway.port`."""
    for option, value in options.items():
        if value is not None:
            config = settings.with_setting(config, option.replace("_", "."), value)
    return config


def _debugging() -> bool:
    return bool(click.get_current_context().find_root().params.get("debug"))


def _loop_runner() -> Callable[..., None]:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: the standard loop does the same, slower
        return asyncio.run
    return uvloop.run


async def _serve(context: CommandSession, config: Config, offline: bool) -> None:
    """Until a signal; one that comes while the node is opened closes again what is open."""
    from node.node import open_node

    with stopping_at_signals() as stop:
        try:
            async with open_node(config, context.folder, offline=offline) as node:
                stop.may_wait()
                _print(_lines(ApiResponse(node.addresses)))
                _collect_seldom()
                await stop.requested.wait()
                _print(["stopping"], err=True)
        except asyncio.CancelledError:
            if not stop.requested.is_set():
                raise


def _collect_seldom() -> None:
    """Look for garbage in what comes from now on, and in more of it at once.

    Modules and parts stay until the end: looking through them stopped the event loop for 0.1 s each time, and
    a bulk of pins spent a sixth of its time on garbage of which there was next to none.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, *gc.get_threshold()[1:])


def _print(lines: list[str], *, err: bool = False) -> None:
    """To who reads along; a terminal that was closed, or a pipe without a reader, ends nothing."""
    try:
        for line in lines:
            say(line, err=err)
    except OSError:
        let_go_of_output()


def _lines(addresses: ApiResponse) -> list[str]:
    faces = [f"{face:<9} {addresses.text(face)}" for face in ("gateway", "rpc", "api")]
    networks = [
        f"{face:<9} {' '.join(addresses.texts(face)) or 'off'}" for face in ("swarm", "cluster", "bulk")
    ]
    metrics = addresses.text("metrics") or "off"
    return [
        f"peer id   {addresses.text('peer_id')}",
        *faces,
        *networks,
        f"metrics   {metrics}",
        f"pinning   {addresses.text('pinning')}",
        "ready     add a folder:      pinfold add -r ./photos",
        f"          open it:           {addresses.text('gateway')}/ipfs/<cid>/",
        "          add a machine:     pinfold cluster invite",
    ]
