"""How a listener answers: requests by status, and how long they took."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Handler

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds; what takes longer is counted behind the last."""

_CLIENT_CLOSED = 499  # the client did, before it had an answer (nginx)


class RequestMeter:
    """Since the start. `buckets[i]`: answers that took at most BOUNDS[i], and more than the one before."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self._time(seconds)

    def count_endless(self, status: int) -> None:
        """An answer that goes on until its client leaves: how long that was says nothing of how we answer."""
        self.statuses[status] += 1

    def _time(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


ENDLESS = web.RequestKey("endless", bool)
"""Under which a handler says of its request that the answer does not end by itself."""

METER = web.AppKey("meter", RequestMeter)


@web.middleware
async def metered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer, counted by the meter of the application. Raises what the handler raises."""
    began, status = perf_counter(), _CLIENT_CLOSED
    try:
        response = await handler(request)
        status = response.status
        return response
    except Exception:
        status = 500
        raise
    finally:
        meter = request.app[METER]
        if ENDLESS in request:
            meter.count_endless(status)
        else:
            meter.count(status, perf_counter() - began)
