"""`pinfold daemon`: the node itself, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import TypeVar

import click

from node import config as settings
from node.cli.context import Failure, Session, session
from node.client import Answer

Command = TypeVar("Command", bound=Callable[..., object])

FACES = {
    "gateway": "the gateway",
    "rpc": "the RPC",
    "api": "the cluster REST API",
    "swarm": "the open IPFS network",
    "cluster": "the members' network",
}


def _port_options(function: Command) -> Command:
    for face, what in reversed(FACES.items()):
        function = click.option(
            f"--{face}-port", type=click.IntRange(0, 65535), help=f"Port of {what}; 0 = any."
        )(function)
    return function


@click.command("daemon")
@_port_options
@click.option("--init", "create", is_flag=True, help="Run `pinfold init` first where that was not done yet.")
@click.option("--offline", is_flag=True, help="Ask nobody for blocks and join no network.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning")
@session
def command(context: Session, /, create: bool, offline: bool, log_level: str, **ports: int | None) -> None:
    """Run the node. Ctrl-C stops it cleanly; a second one at once."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = _with_ports(context.config(), ports)
    settings.check(config)
    if not context.folder.exists:
        if not create:
            raise Failure(f"{context.folder.root} is not a data folder: run `pinfold init` first")
        from node.setup import create_node

        create_node(context.folder)
    _loop_runner()(_serve(context, config, offline))


def _with_ports(config: settings.Config, ports: dict[str, int | None]) -> settings.Config:
    for option, port in ports.items():
        if port is not None:
            config = settings.with_setting(config, option.replace("_", "."), port)
    return config


def _loop_runner() -> Callable[..., None]:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: the standard loop does the same, slower
        return asyncio.run
    return uvloop.run


async def _serve(context: Session, config: settings.Config, offline: bool) -> None:
    from node.node import open_node

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop_or_abort, stop)
    async with open_node(config, context.folder, offline=offline):
        _show(context.addresses())
        await stop.wait()
        click.echo("stopping", err=True)


def _stop_or_abort(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(130)
    stop.set()


def _show(addresses: Answer) -> None:
    click.echo(f"peer id   {addresses.text('peer_id')}")
    for face in ("gateway", "rpc", "api"):
        click.echo(f"{face:<9} {addresses.text(face)}")
    for face in ("swarm", "cluster"):
        click.echo(f"{face:<9} {' '.join(addresses.texts(face)) or 'off'}")
    click.echo("ready     add a folder:      pinfold add -r ./photos")
    click.echo(f"          open it:           {addresses.text('gateway')}/ipfs/<cid>/")
    click.echo("          add a machine:     pinfold cluster invite")
