"""One connection to each ingress, found again after a loss; and nobody left waiting on a dead one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from router_worker.reply_pool import IngressGone, ReplyPool
from router_worker.stream import Refused
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from schemas.failures import Failure, FailureKind
from schemas.frames import Claim, FrameType, Settled
from tests.fakes.clock import HandClock
from tests.fakes.ring_ingress import ring_ingress
from tests.fakes.waiting import until

CLAIM = Claim(token="t", delivery=0, claim_no=0, worker_id="w")
NOWHERE = "ws://127.0.0.1:1/reply"


@pytest.fixture
async def pool() -> AsyncIterator[ReplyPool]:
    supervisor = Supervisor()
    made = ReplyPool(HandClock(), supervisor)
    await made.start()
    yield made
    await made.stop(Deadline(SystemClock(), 0))
    await supervisor.cancel_all()
    assert not supervisor.failed.is_set()


async def test_many_requests_share_one_connection(pool: ReplyPool) -> None:
    async with ring_ingress() as ingress:
        channels = await asyncio.gather(*(pool.channel(ingress.url) for _ in range(20)))
        assert len(set(map(id, channels))) == 1
        await until(lambda: ingress.sockets)
        assert len(ingress.sockets) == 1


async def test_a_stream_is_found_by_its_id_while_it_is_open(pool: ReplyPool) -> None:
    async with ring_ingress() as ingress:
        channel = await pool.channel(ingress.url)
        stream = channel.open_stream(5)
        assert channel.stream(5) is stream
        channel.close_stream(stream)
        assert channel.stream(5) is None


async def test_frames_find_their_streams(pool: ReplyPool) -> None:
    async with ring_ingress() as ingress:
        channel = await pool.channel(ingress.url)
        one, two = channel.open_stream(1), channel.open_stream(2)
        await asyncio.gather(one.claim(CLAIM), two.claim(CLAIM))
        gone = Failure(kind=FailureKind.CLIENT_GONE)
        ingress.cancel(9, gone)
        ingress.cancel(2, gone)
        await until(lambda: two.interrupted)
        assert (one.interrupted, two.interrupted) == (None, gone)


async def test_a_lost_connection_interrupts_its_streams_and_the_next_request_gets_a_new_one(pool: ReplyPool) -> None:
    async with ring_ingress() as ingress:
        channel = await pool.channel(ingress.url)
        stream = channel.open_stream(1)
        assert stream is not None
        await stream.claim(CLAIM)
        await ingress.drop()
        await until(lambda: stream.interrupted)
        assert stream.interrupted == Failure(kind=FailureKind.INGRESS_LOST)
        again = await pool.channel(ingress.url)
        assert again is not channel
        second = again.open_stream(1)
        assert second is not None
        async with asyncio.timeout(5):
            await second.claim(CLAIM)


async def test_nobody_is_given_a_connection_that_is_being_closed(pool: ReplyPool) -> None:
    """The closing of a WebSocket takes a while if the other end does not answer: a claim on it would wait for ever."""
    async with ring_ingress() as ingress:
        channel = await pool.channel(ingress.url)
        stream = channel.open_stream(1)
        assert stream is not None
        await stream.claim(CLAIM)
        ingress.frozen = True
        stream.send(FrameType.DATA, b"x")
        await until(lambda: ingress.data)
        ingress.send(FrameType.CANCEL, 1, b"no failure")
        await until(lambda: stream.interrupted)
        async with asyncio.timeout(5):
            again = await pool.channel(ingress.url)
            second = again.open_stream(2)
            assert second is not None
            try:
                await second.claim(CLAIM)
            except Refused:
                pytest.fail("the claim went to the dead connection")


async def test_an_ingress_that_cannot_be_reached_is_not_asked_again_for_each_request() -> None:
    clock, supervisor = HandClock(), Supervisor()
    pool = ReplyPool(clock, supervisor)
    await pool.start()
    with pytest.raises(IngressGone):
        await pool.channel(NOWHERE)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for _ in range(50):
        with pytest.raises(IngressGone):
            await pool.channel(NOWHERE)
    assert loop.time() - started_s < 0.3, "each of them has dialled, with its retries"
    await pool.stop(Deadline(SystemClock(), 0))


async def test_stopping_flushes_and_closes() -> None:
    supervisor = Supervisor()
    async with ring_ingress() as ingress:
        pool = ReplyPool(HandClock(), supervisor)
        await pool.start()
        channel = await pool.channel(ingress.url)
        stream = channel.open_stream(1)
        assert stream is not None
        await stream.claim(CLAIM)
        for _ in range(100):
            stream.send(FrameType.DATA, b"x" * 10_000)
        stream.send_settled(Settled(cost_pico_usd=0, input_tokens=0, output_tokens=0))
        await pool.stop(Deadline(SystemClock(), 1))
        await until(lambda: ingress.settled)
        assert len(ingress.data) == 1_000_000
        await until(lambda: not ingress.sockets)
    await supervisor.cancel_all()
