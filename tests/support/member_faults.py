"""Members of a cluster as processes with ports of their own, and faults that a seed decides."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from random import Random

from nodes import NodeProcess

from support.command import daemon, until

QUIET = {"PINFOLD_SWARM_ENABLED": "false"}
"""Settings of a member that is alone with the other members."""


class Fault(Enum):
    KILL = "kill -9"
    RESTART = "restart"
    STOP = "SIGSTOP"


@dataclass(frozen=True, slots=True)
class Mishap:
    """What befalls one member, for how many seconds, and how many after the one before."""

    member: int
    fault: Fault
    away: float
    after: float


@dataclass(frozen=True, slots=True)
class MemberProcess:
    """A member that comes back where it was: its port is its own."""

    node: NodeProcess
    port: int

    def start(self) -> None:
        """Returns when it answers."""
        self.node.start("--cluster-port", str(self.port))

    def signal(self, number: signal.Signals) -> None:
        assert self.node.process is not None
        self.node.process.send_signal(number)


def mishaps(seed: int, members: int, count: int) -> list[Mishap]:
    """One member at a time or several, for less than a moment or long enough to be given up."""
    chance = Random(seed)
    return [
        Mishap(
            chance.randrange(members),
            chance.choice(list(Fault)),
            chance.uniform(0.2, 9.0),
            chance.uniform(0.1, 3.0),
        )
        for _ in range(count)
    ]


@contextmanager
def members(folder: Path, count: int) -> Iterator[list[MemberProcess]]:
    """That many processes which have joined one cluster, and ends them all."""
    with ExitStack() as stack:
        found: list[MemberProcess] = []
        for number, port in enumerate(_free_ports(count)):
            path, options = folder / f"m{number}", ("--cluster-port", str(port))
            if found:
                token = found[0].node.run("cluster", "invite")
                NodeProcess(found[0].node.command, path).run("init", "--name", path.name, "--join", token)
            found.append(MemberProcess(stack.enter_context(daemon(path, *options, **QUIET)), port))
        for one in found:
            until("all are connected", partial(_sees, one.node, count))
        yield found


def suffer(found: Sequence[MemberProcess], plan: Sequence[Mishap]) -> float:
    """Let it all happen, and bring all back at the end; when the last one was back (time.monotonic)."""
    begun = time.monotonic()
    due: list[tuple[float, Mishap]] = []
    away: dict[int, Fault] = {}
    at = begun
    for mishap in plan:
        at += mishap.after
        _bring_back(found, away, due, until_=at)
        _wait_until(at)
        if mishap.member not in away:
            _strike(found[mishap.member], mishap.fault)
            away[mishap.member] = mishap.fault
            due.append((at + mishap.away, mishap))
    _bring_back(found, away, due, until_=None)
    return time.monotonic()


def _bring_back(
    found: Sequence[MemberProcess],
    away: dict[int, Fault],
    due: list[tuple[float, Mishap]],
    until_: float | None,
) -> None:
    for at, mishap in sorted(due, key=lambda one: one[0]):
        if until_ is None or at <= until_:
            due.remove((at, mishap))
            _wait_until(at)
            _return(found[mishap.member], away.pop(mishap.member))


def _strike(member: MemberProcess, fault: Fault) -> None:
    match fault:
        case Fault.KILL:
            member.node.kill()
        case Fault.RESTART:
            member.node.stop()
        case Fault.STOP:
            member.signal(signal.SIGSTOP)


def _return(member: MemberProcess, fault: Fault) -> None:
    if fault is Fault.STOP:
        member.signal(signal.SIGCONT)
    else:
        member.start()


def _sees(node: NodeProcess, count: int) -> bool:
    return node.run("peers").count("online") == count


def _wait_until(at: float) -> None:
    time.sleep(max(0.0, at - time.monotonic()))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
