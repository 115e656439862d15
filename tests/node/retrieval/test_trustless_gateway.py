"""Blocks from trustless gateways: verified, bounded, shared; gateways that lie, fail, dawdle or are busy."""

import asyncio
import random
from email.utils import formatdate
from time import time

import pytest
from aiohttp import web
from support.http_gateway import Behaviour, http_gateway, silence

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.blocks import Exchange
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.common.guard import Guard
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from node.retrieval.circuit_breaker import GatewayHealth
from node.retrieval.gateway_pool import open_gateways
from node.retrieval.gateway_timeouts import GatewayTimeouts

BLOCK = Block.of(b"from far away")
OTHER = Block.of(b"another one")
HASTE = GatewayTimeouts(headers=0.15, block=0.3, requests=4)
SEVERE = GatewayTimeouts(rest=10)
HASTY = GatewayTimeouts(rest=0.01)


async def refused(gateways: Exchange, cid: CID = BLOCK.cid) -> str:
    """What a fetch that fails says."""
    with pytest.raises(BlockNotFound) as caught:
        await gateways.fetch(cid)
    return caught.value.reason


def answers(status: int = 200, body: bytes = b"", **headers: str) -> Behaviour:
    async def behave(_request: web.Request) -> web.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=names)

    return behave


async def test_a_block_is_asked_for_as_the_specification_says_and_comes_back_verified() -> None:
    async with http_gateway([BLOCK]) as gateway, open_gateways([gateway.url + "/"]) as gateways:
        assert await gateways.fetch(BLOCK.cid) == BLOCK
        (request,) = gateway.requests
        assert request.path_qs == f"/ipfs/{BLOCK.cid}?format=raw"
        assert request.headers["Accept"] == "application/vnd.ipld.raw"


@pytest.mark.parametrize("host", ["a" * 70 + ".invalid", "☃☃.invalid", "..", "[::1"])
async def test_a_gateway_that_sends_us_where_no_name_leads_keeps_no_other_from_answering(host: str) -> None:
    guard = Guard()
    async with http_gateway() as odd, http_gateway([BLOCK]) as honest:
        location = f"http://{host}/ipfs/{BLOCK.cid}"
        odd.behaviour = answers(302, location=location)
        async with open_gateways(
            [odd.url, honest.url], GatewayTimeouts(hedge=0.01, rest=10), guard
        ) as gateways:
            assert await gateways.fetch(BLOCK.cid) == BLOCK
            assert await gateways.session(BLOCK.cid).fetch(BLOCK.cid) == BLOCK
    assert guard.failures == 0, "what a gateway can do wrong is foreseen"


async def test_an_old_cid_is_asked_for_in_its_new_form_and_answered_in_its_own() -> None:
    old = Block.of(b"\x0a\x00", DAG_PB, version=0)
    async with http_gateway([old]) as gateway, open_gateways([gateway.url]) as gateways:
        assert (await gateways.fetch(old.cid)).cid == old.cid
        assert gateway.asked_for == [str(old.cid.as_v1())]


async def test_the_largest_block_comes_whole() -> None:
    large = Block.of(random.Random(1).randbytes(MAX_BLOCK_BYTES))
    async with http_gateway([large]) as gateway, open_gateways([gateway.url]) as gateways:
        assert await gateways.fetch(large.cid) == large


async def test_an_identity_cid_is_never_sent_out() -> None:
    async with http_gateway() as gateway, open_gateways([gateway.url]) as gateways:
        assert (await gateways.fetch(CID.identity(RAW, b"inline"))).data == b"inline"
        assert gateway.requests == []


@pytest.mark.parametrize("status", [400, 404, 410, 451])
async def test_a_gateway_that_does_not_have_it_says_so_and_is_asked_for_others(status: int) -> None:
    async with http_gateway([OTHER]) as gateway, open_gateways([gateway.url]) as gateways:
        gateway.behaviour = answers(status)
        assert await refused(gateways) == "1 gateway asked, none has it"
        gateway.behaviour = None
        assert await gateways.fetch(OTHER.cid) == OTHER


@pytest.mark.parametrize(
    "body", [b"not what was asked for", b"", bytes(MAX_BLOCK_BYTES + 1)], ids=["other", "nothing", "too much"]
)
async def test_a_gateway_that_sends_wrong_bytes_is_told_and_left_alone(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_gateway([OTHER]) as liar, open_gateways([liar.url]) as gateways:
        liar.behaviour = answers(body=body)
        assert await refused(gateways) == "1 gateway asked: 1 with bytes that do not match the hash"
        assert f"from {liar.url}" in caplog.text
        assert "2097152" in caplog.text or len(body) <= MAX_BLOCK_BYTES
        assert await refused(gateways, OTHER.cid) == "1 gateway asked: 1 left alone after earlier failures"
        assert len(liar.requests) == 1


async def test_a_stream_without_end_is_cut_at_the_largest_block() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(64 * 1024))

    async with http_gateway() as gateway, open_gateways([gateway.url]) as gateways:
        gateway.behaviour = endless
        assert "do not match" in await refused(gateways)
        await gateway.aborted.wait()


async def test_one_that_lies_is_passed_over_for_one_that_does_not() -> None:
    async with http_gateway() as liar, http_gateway([BLOCK]) as honest:
        liar.behaviour = answers(body=b"no")
        async with open_gateways([liar.url, honest.url]) as gateways:
            assert await gateways.fetch(BLOCK.cid) == BLOCK
            assert len(liar.requests) == 1


async def test_compressed_bytes_are_not_inflated() -> None:
    async with http_gateway() as gateway, open_gateways([gateway.url]) as gateways:
        gateway.behaviour = answers(body=b"\x1f\x8b\x08\x00", Content_Encoding="gzip")
        assert "do not match" in await refused(gateways)
        assert gateway.requests[0].headers["Accept-Encoding"] == "identity"


async def test_slow_headers_and_an_endless_trickle_end_in_time() -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    for behaviour in (silence, trickle):
        async with http_gateway() as gateway, open_gateways([gateway.url], HASTE) as gateways:
            gateway.behaviour = behaviour
            assert await refused(gateways) == "1 gateway asked, none answered"
            await gateway.aborted.wait()


async def test_redirects_are_followed_a_few_times_and_to_http_only() -> None:
    async def around(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/ipfs/{request.match_info['cid']}?again")

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMovedPermanently(f"/elsewhere/{request.match_info['cid']}?format=raw")

    async def file(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("file:///etc/hostname")

    async with http_gateway([BLOCK]) as gateway:
        async with open_gateways([gateway.url]) as gateways:
            gateway.behaviour = elsewhere
            assert await gateways.fetch(BLOCK.cid) == BLOCK
        async with open_gateways([gateway.url], SEVERE) as gateways:
            gateway.behaviour = around
            assert await refused(gateways) == "1 gateway asked: 1 failing"
            assert len(gateway.requests) <= 7
        async with open_gateways([gateway.url], SEVERE) as gateways:
            gateway.behaviour = file
            assert await refused(gateways) == "1 gateway asked: 1 failing"


@pytest.mark.parametrize("status", [401, 403, 406, 500, 502])
async def test_a_gateway_that_fails_is_left_alone(status: int) -> None:
    async with http_gateway([BLOCK]) as gateway, open_gateways([gateway.url], SEVERE) as gateways:
        gateway.behaviour = answers(status)
        assert await refused(gateways) == "1 gateway asked: 1 failing"
        gateway.behaviour = None
        assert await refused(gateways) == "1 gateway asked: 1 left alone after earlier failures"
        assert len(gateway.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_moments_trouble_of_a_gateway_breaks_nothing(status: int) -> None:
    async with http_gateway([BLOCK, OTHER]) as gateway, open_gateways([gateway.url], HASTY) as gateways:

        async def hiccup(request: web.Request) -> web.StreamResponse:
            if len(gateway.requests) == 1:
                return web.Response(status=status, headers={"Retry-After": "0"})
            return await gateway.honest(request)

        gateway.behaviour = hiccup
        wanted = [gateways.fetch(BLOCK.cid), gateways.fetch(OTHER.cid)]
        assert await asyncio.gather(*wanted) == [BLOCK, OTHER]


async def test_504_says_that_it_looked_in_vain_which_is_no_failure() -> None:
    async with http_gateway() as gateway, open_gateways([gateway.url]) as gateways:
        gateway.behaviour = answers(504)
        assert await refused(gateways) == "1 gateway asked, none answered"
        assert await refused(gateways) == "1 gateway asked, none answered"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["120", "a date", "9" * 400])
async def test_a_busy_gateway_is_left_alone_as_long_as_it_asks(status: int, after: str) -> None:
    if after == "a date":
        after = formatdate(time() + 120, usegmt=True)
    async with http_gateway([BLOCK]) as gateway, open_gateways([gateway.url]) as gateways:
        gateway.behaviour = answers(status, Retry_After=after)
        assert await refused(gateways) == "1 gateway asked: 1 too busy"
        gateway.behaviour = None
        assert "left alone" in await refused(gateways)


@pytest.mark.parametrize("after", ["", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "-5"])
async def test_a_busy_gateway_that_does_not_say_for_how_long_is_asked_again_soon(after: str) -> None:
    async with http_gateway([BLOCK]) as gateway, open_gateways([gateway.url], HASTY) as gateways:
        gateway.behaviour = answers(429, Retry_After=after)
        fetching = asyncio.ensure_future(gateways.fetch(BLOCK.cid))
        await gateway.asked.wait()
        gateway.behaviour = None
        assert await fetching == BLOCK


async def test_nobody_listening_is_told() -> None:
    async with http_gateway() as gateway:
        url = gateway.url
    async with open_gateways([url], SEVERE) as gateways:
        assert await refused(gateways) == "1 gateway asked, none could be reached"


async def test_requests_for_one_block_share_one_request_and_one_that_leaves_ends_it_for_nobody_else() -> None:
    release = asyncio.Event()

    async with http_gateway([BLOCK]) as gateway, open_gateways([gateway.url]) as gateways:

        async def held(request: web.Request) -> web.StreamResponse:
            await release.wait()
            return await gateway.honest(request)

        gateway.behaviour = held
        sessions = [gateways.session(BLOCK.cid) for _ in range(5)]
        fetches = [asyncio.ensure_future(session.fetch(BLOCK.cid)) for session in sessions]
        await gateway.asked.wait()
        fetches[0].cancel()
        await asyncio.wait(fetches[:1])
        assert not gateway.aborted.is_set()
        release.set()
        assert await asyncio.gather(*fetches[1:]) == [BLOCK] * 4
        assert len(gateway.requests) == 1


async def test_when_all_have_left_the_request_is_aborted() -> None:
    async with http_gateway() as gateway, open_gateways([gateway.url]) as gateways:
        gateway.behaviour = silence
        progress = FetchProgress()
        fetches = [asyncio.ensure_future(gateways.fetch(BLOCK.cid, (), progress)) for _ in range(3)]
        await gateway.asked.wait()
        assert [*map(str, progress.reports())] == ["1 gateway asked, none has answered yet"]
        for fetch in fetches:
            fetch.cancel()
        await gateway.aborted.wait()


async def test_so_many_requests_are_out_at_once_and_no_more() -> None:
    blocks = [Block.of(bytes([n])) for n in range(20)]
    full, release = asyncio.Event(), asyncio.Event()
    patience = GatewayTimeouts(requests=4)
    async with http_gateway(blocks) as gateway, open_gateways([gateway.url], patience) as gateways:

        async def held(request: web.Request) -> web.StreamResponse:
            if gateway.running == patience.requests:
                full.set()
            await release.wait()
            return await gateway.honest(request)

        gateway.behaviour = held
        session = gateways.session(blocks[0].cid)
        fetches = [asyncio.ensure_future(session.fetch(block.cid)) for block in blocks]
        await full.wait()
        release.set()
        assert await asyncio.gather(*fetches) == blocks
        assert gateway.most_running == patience.requests


async def test_what_a_gateway_looks_for_in_vain_keeps_nobody_else_waiting() -> None:
    """A stranger may ask for any number of blocks that nobody has."""
    patience = GatewayTimeouts(headers=600, requests=4, hedge=0.05)  # those in vain do not end of themselves
    async with http_gateway([BLOCK]) as gateway, open_gateways([gateway.url], patience) as gateways:

        async def searches(request: web.Request) -> web.StreamResponse:
            return await (gateway.honest if request.match_info["cid"] in gateway.blocks else silence)(request)

        gateway.behaviour = searches
        vain = [asyncio.create_task(gateways.fetch(Block.of(bytes([n])).cid)) for n in range(20)]
        await gateway.asked.wait()
        assert await gateways.fetch(BLOCK.cid) == BLOCK
        for fetch in vain:
            fetch.cancel()
        await asyncio.wait(vain)


async def test_so_many_requests_without_an_answer_are_out_and_no_more() -> None:
    patience = GatewayTimeouts(headers=600, block=600, requests=1, hedge=0.01)
    async with http_gateway() as gateway, open_gateways([gateway.url], patience) as gateways:
        go_on = asyncio.Semaphore(0)

        async def held(request: web.Request) -> web.StreamResponse:
            await go_on.acquire()
            return await gateway.honest(request)

        gateway.behaviour = held
        vain = [asyncio.create_task(gateways.fetch(Block.of(bytes([n])).cid)) for n in range(20)]
        for count in range(8, 21):
            while len(gateway.requests) < count:
                gateway.asked.clear()
                await gateway.asked.wait()
            go_on.release()
        for _ in range(7):
            go_on.release()
        await asyncio.wait(vain)
        assert gateway.most_running == 8


async def test_the_healthiest_gateway_is_asked_first() -> None:
    async with http_gateway() as broken, http_gateway([BLOCK, OTHER]) as good:
        broken.behaviour = answers(500)
        async with open_gateways([broken.url, good.url], SEVERE) as gateways:
            await gateways.fetch(BLOCK.cid)
            await gateways.fetch(OTHER.cid)
            assert len(broken.requests) == 1


def health() -> GatewayHealth:
    return GatewayHealth(dice=random.Random(7))


def test_rests_grow_with_failures_are_bounded_and_end_with_an_answer() -> None:
    gateway, now, rests = health(), 0.0, []
    for _ in range(12):
        gateway.on_failure(now)
        began = now
        while gateway.rest(now):
            now += 0.5
        rests.append(now - began)
        now += 2
    assert 1 <= rests[0] <= 2
    assert rests[3] >= 8
    assert 300 <= rests[-1] <= 376
    gateway.on_answer(now, now + 0.1)
    gateway.on_failure(now)
    assert not gateway.rest(now + 2)


def test_no_rest_is_longer_than_a_quarter_of_an_hour_and_a_bit() -> None:
    gateway = health()
    gateway.postpone(0.0, 1e9)
    assert 900 <= gateway.rest(0.0) <= 1125
    for failure in range(2000):
        gateway.on_failure(failure * 10.0)
    assert gateway.rest(20_000.0) <= 375


def test_requests_that_fail_together_have_failed_once() -> None:
    gateway = health()
    for _ in range(32):
        gateway.on_failure(10.0)
    assert not gateway.rest(12.0)


def test_silence_about_one_block_is_no_failure_of_a_gateway_that_answers_others() -> None:
    gateway = health()
    gateway.on_answer(5.0, 6.0)
    gateway.on_silence(asked_at=1.0, now=21.0)
    assert not gateway.rest(21.0)
    gateway.on_silence(asked_at=7.0, now=27.0)
    assert gateway.rest(27.0)


def test_health_orders_gateways() -> None:
    quick, slow, failed, resting = health(), health(), health(), health()
    quick.on_answer(0, 0.1)
    slow.on_answer(0, 0.9)
    failed.on_failure(0)
    resting.on_bad_block(0)
    best = sorted([resting, failed, slow, quick], key=lambda gateway: gateway.order(100))
    assert best == [quick, slow, failed, resting]
