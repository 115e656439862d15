"""Each log is asked of one member at a time, and of another one when that gives nothing."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time

from cluster.pinset.log.batch import AuthorLog
from cluster.replication.pull_claims import STALLED, PullClaims

ONE, TWO = AuthorLog("author", 1), AuthorLog("author", 2)


@virtual_time
async def test_a_log_is_one_pulls_until_that_has_stalled_and_the_slower_the_fewer_share_it() -> None:
    claims = PullClaims()
    with claims.claim("a") as a, claims.claim("b") as b, claims.claim("c") as c:
        assert claims.take(a, [ONE]) == [ONE]
        assert claims.take(b, [ONE, TWO]) == [TWO]
        await asyncio.sleep(STALLED)
        assert claims.take(b, [ONE, TWO]) == [ONE, TWO]
        assert claims.take(c, [ONE]) == []
        a.gives()
        b.gives()
        await asyncio.sleep(1.5 * STALLED)
        assert claims.take(c, [ONE]) == []
        await asyncio.sleep(0.5 * STALLED)
        assert claims.take(c, [ONE]) == [ONE]


@virtual_time
async def test_while_what_it_gave_is_applied_a_member_has_not_stalled() -> None:
    claims = PullClaims()
    with claims.claim("a") as a, claims.claim("b") as b:
        claims.take(a, [ONE])
        a.applies()
        await asyncio.sleep(100 * STALLED)
        assert claims.take(b, [ONE]) == []
        a.gives()
        await asyncio.sleep(STALLED)
        assert claims.take(b, [ONE]) == [ONE]


@virtual_time
async def test_who_waits_hears_when_logs_are_released() -> None:
    claims = PullClaims()
    with claims.claim("b") as b:
        with claims.claim("a") as a:
            claims.take(a, [ONE])
            waiting = asyncio.create_task(claims.change())
            await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        await waiting
        assert asyncio.get_running_loop().time() == began
        assert claims.take(b, [ONE]) == [ONE]
