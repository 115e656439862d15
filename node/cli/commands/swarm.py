"""`pinfold swarm`: the peers of the open network."""

from __future__ import annotations

import click

from node.cli.api.response import ApiResponse
from node.cli.errors import Failure
from node.cli.input.numbers import whole_number
from node.cli.output.ledger_text import ledger_lines
from node.cli.output.printing import emit, say, say_error, say_lines
from node.cli.session import CommandSession, json_option, session


@click.group("swarm")
def command() -> None:
    """Peers of the open network: connect, look, ping, stay connected."""


@command.command("peers")
@click.option("--ledger", is_flag=True, help="What went to each and came from it, and what it wants.")
@json_option
@session
def peers(context: CommandSession, ledger: bool, as_json: bool) -> None:
    """Who is connected, and at which address; with --ledger also who was, since the start."""
    if ledger:
        for peer in context.api().lines("GET", "/v1/swarm/peers", [("ledger", "true")]):
            if as_json:
                emit(dict(peer.raw))
            else:
                say_lines(ledger_lines(peer))
        return
    for peer in context.rpc().post("/api/v0/swarm/peers").answers("Peers"):
        if as_json:
            emit({"peer": peer.text("Peer"), "address": peer.text("Addr")})
        else:
            say(f"{peer.text('Addr')}/p2p/{peer.text('Peer')}")


@command.command("addrs")
@json_option
@session
def addresses(context: CommandSession, as_json: bool) -> None:
    """Known addresses of each connected peer."""
    found = context.rpc().post("/api/v0/swarm/addrs").answer("Addrs")
    for peer in found.raw:
        _told(peer, found.texts(peer), as_json)


@command.command("connect")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@session
def connect(context: CommandSession, addresses: tuple[str, ...], as_json: bool) -> None:
    """Connect to peers at multiaddresses that end in /p2p/PEER, and stay connected."""
    for address in addresses:
        _done(context.rpc().post("/api/v0/swarm/connect", [("arg", address)]), as_json)


@command.command("disconnect")
@click.argument("peers", nargs=-1, required=True, metavar="PEER...")
@json_option
@session
def disconnect(context: CommandSession, peers: tuple[str, ...], as_json: bool) -> None:
    """Close the connections of peers, and do not keep them connected; a PEER is an id or an address."""
    for peer in peers:
        _done(context.rpc().post("/api/v0/swarm/disconnect", [("arg", peer)]), as_json)


@command.command("ping")
@click.argument("peer")
@click.option("-n", "--count", callback=whole_number("pings", least=1, most=1000), help="How many (10).")
@json_option
@session
def ping(context: CommandSession, peer: str, count: str | None, as_json: bool) -> None:
    """Round trips to a peer, once a second; a PEER is an id or an address."""
    query = [("arg", peer), *([("count", count)] if count else [])]
    lost = 0
    for line in context.rpc().lines("POST", "/api/v0/ping", query):
        lost += line.raw.get("Success") is False
        if as_json:
            emit({"success": line.raw.get("Success"), "ns": line.number("Time"), "text": line.text("Text")})
        elif line.raw.get("Success") is False:
            say_error(line.text("Text"))
        else:
            say(line.text("Text") or f"pong after {line.number('Time') / 1e6:.2f} ms")
    if lost:
        raise Failure(f"{lost} pings were not answered")


@command.command("peering")
@click.argument("action", type=click.Choice(["add", "ls", "rm"]), default="ls")
@click.argument("peers", nargs=-1, metavar="[ADDRESS|PEER]...")
@json_option
@session
def peering(context: CommandSession, action: str, peers: tuple[str, ...], as_json: bool) -> None:
    """Peers that stay connected, over restarts too: add ADDRESS..., rm PEER..., ls.

    Those of the setting `swarm.peers` come back with the next start.
    """
    if bool(peers) == (action == "ls"):
        raise click.UsageError("ls takes no peer" if peers else f"{action} takes at least one peer")
    if action == "ls":
        for peer in context.rpc().post("/api/v0/swarm/peering/ls").answers("Peers"):
            _told(peer.text("ID"), peer.texts("Addrs"), as_json)
    for peer_ in peers:
        found = context.rpc().post(f"/api/v0/swarm/peering/{action}", [("arg", peer_)])
        if as_json:
            emit({"peer": found.text("ID"), "kept": action == "add"})
        else:
            say(f"{found.text('ID')} {'stays connected' if action == 'add' else 'is kept no more'}")


def _told(peer: str, found: list[str], as_json: bool) -> None:
    if as_json:
        emit({"peer": peer, "addresses": found})
        return
    say(f"{peer} ({len(found)})")
    for address in found:
        say(f"  {address}")


def _done(answer: ApiResponse, as_json: bool) -> None:
    for text in answer.texts("Strings"):
        if as_json:
            emit({"done": text})
        else:
            say(text)
