"""How long a trustless gateway is waited for."""

from __future__ import annotations

from dataclasses import dataclass

from node.retrieval.circuit_breaker import FIRST_REST


@dataclass(frozen=True, slots=True)
class GatewayTimeouts:
    """Seconds. `headers`: a gateway that has to look for the block itself needs some. `block`: until all of
    it is here, whatever trickles in meanwhile. `hedge`: until the next gateway is asked too. `rest`: after a
    first failure. `requests`: at once, more wait for their turn.
    """

    headers: float = 20.0
    block: float = 60.0
    hedge: float = 2.0
    rest: float = FIRST_REST
    requests: int = 32
