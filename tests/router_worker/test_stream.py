"""A request's place on the reply channel: credit is never overdrawn, and an interruption reaches every wait."""

import asyncio
from collections.abc import Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_worker.stream import Interrupted, Refused, Stream
from schemas.failures import Failure, FailureKind
from schemas.frames import (
    CLAIM_DECODER,
    Claim,
    FrameError,
    FrameReader,
    FrameType,
    Refuse,
    accept_payload,
    credit_payload,
    encode_payload,
)
from tests.fakes.waiting import until

CLAIM = Claim(token="t", delivery=0, claim_no=0, worker_id="w")
GONE = Failure(kind=FailureKind.CLIENT_GONE)


class Sent:
    def __init__(self) -> None:
        self.frames: list[tuple[FrameType, int, bytes]] = []

    def send(self, frame: bytes) -> None:
        self.frames += FrameReader().feed(frame)

    def data_sizes(self) -> list[int]:
        return [len(payload) for frame_type, _, payload in self.frames if frame_type is FrameType.DATA]


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def stream(sent: Sent) -> Stream:
    return Stream(sent, 7)


async def test_an_accepted_claim_brings_credit_and_the_held_body(stream: Stream, sent: Sent) -> None:
    async with asyncio.TaskGroup() as tasks:
        claiming = tasks.create_task(stream.claim(CLAIM))
        await until(lambda: sent.frames)
        [(frame_type, stream_id, payload)] = sent.frames
        assert (frame_type, stream_id) == (FrameType.CLAIM, 7)
        assert CLAIM_DECODER.decode(payload) == CLAIM
        assert not stream.has_credit
        stream.on_frame(FrameType.ACCEPT, accept_payload(10, b"held"))
        assert await claiming == b"held"
        assert stream.has_credit


async def test_a_refused_claim(stream: Stream, sent: Sent) -> None:
    async with asyncio.TaskGroup() as tasks:
        claiming = tasks.create_task(_refusal_of(stream))
        await until(lambda: sent.frames)
        stream.on_frame(FrameType.REFUSE, encode_payload(Refuse(reason="late")))
        assert await claiming == "late"


async def _refusal_of(stream: Stream) -> str:
    with pytest.raises(Refused) as refused:
        await stream.claim(CLAIM)
    return str(refused.value)


async def test_an_interruption_while_the_claim_is_open(stream: Stream, sent: Sent) -> None:
    async with asyncio.TaskGroup() as tasks:
        claiming = tasks.create_task(_refusal_of(stream))
        await until(lambda: sent.frames)
        stream.interrupt(GONE)
        assert await claiming == "client_gone"
    frames_before = len(sent.frames)
    assert await _refusal_of(stream) == "client_gone", "nothing is claimed afterwards either"
    assert len(sent.frames) == frames_before


async def test_answers_to_nothing_are_passed_over(stream: Stream) -> None:
    stream.on_frame(FrameType.REFUSE, encode_payload(Refuse(reason="late")))
    stream.on_frame(FrameType.ACCEPT, accept_payload(0))
    stream.on_frame(FrameType.END, b"")
    with pytest.raises(FrameError):
        stream.on_frame(FrameType.CREDIT, b"123")


async def test_an_interruption_ends_a_wait_for_credit(stream: Stream, sent: Sent) -> None:
    async def send() -> None:
        with stream.interruptible():
            await stream.send_data(b"x")

    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_interruption_of(send()))
        await until(lambda: stream._credit_waiter is not None)
        stream.interrupt(GONE)
        assert await sending == GONE
    assert sent.frames == []


async def _interruption_of(work: Coroutine[object, object, None]) -> Failure:
    with pytest.raises(Interrupted) as interrupted:
        await work
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "the next await would be cancelled too"
    await asyncio.sleep(0)
    return interrupted.value.failure


async def test_an_interruption_ends_a_wait_for_the_vendor_and_the_first_one_counts(stream: Stream) -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        with stream.interruptible():
            async with asyncio.timeout(60):
                entered.set()
                await asyncio.get_running_loop().create_future()

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_interruption_of(wait()))
        await entered.wait()
        stream.interrupt(GONE)
        stream.interrupt(Failure(kind=FailureKind.INGRESS_LOST))
        assert await waiting == GONE


async def test_what_is_interrupted_before_does_not_begin(stream: Stream) -> None:
    stream.interrupt(GONE)
    with pytest.raises(Interrupted), stream.interruptible():
        pytest.fail("the block was entered")


async def test_outside_a_block_an_interruption_cancels_nothing(stream: Stream) -> None:
    with stream.interruptible():
        pass
    stream.interrupt(GONE)
    await asyncio.sleep(0)
    assert stream.interrupted == GONE


async def test_an_error_inside_the_block_passes_through(stream: Stream) -> None:
    with pytest.raises(ValueError, match="mine"), stream.interruptible():
        raise ValueError("mine")


@pytest.mark.parametrize("interrupted", ["never", "before", "after"])
async def test_a_cancellation_from_outside_is_not_swallowed(stream: Stream, interrupted: str) -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        with stream.interruptible():
            entered.set()
            await asyncio.get_running_loop().create_future()

    task = asyncio.get_running_loop().create_task(wait())
    await entered.wait()
    if interrupted == "before":
        stream.interrupt(GONE)
    task.cancel()
    if interrupted == "after":
        stream.interrupt(GONE)
    await asyncio.wait({task})
    assert task.cancelled()


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(0, 60), st.lists(st.integers(1, 80), max_size=40))
@settings(max_examples=200, deadline=None)
def test_credit_is_overdrawn_by_no_more_than_one_piece(pieces: list[int], first: int, grants: list[int]) -> None:
    asyncio.run(_send_all(pieces, first, grants))


async def _send_all(pieces: list[int], first: int, grants: list[int]) -> None:
    sent = Sent()
    stream = Stream(sent, 1)
    stream.on_frame(FrameType.ACCEPT, accept_payload(first))
    granted = first

    async def send() -> None:
        for size in pieces:
            await stream.send_data(b"x" * size)

    task = asyncio.get_running_loop().create_task(send())
    for grant in [0, *grants]:
        if grant:
            stream.on_frame(FrameType.CREDIT, credit_payload(grant))
            granted += grant
        for _ in range(4):
            await asyncio.sleep(0)
        sizes = sent.data_sizes()
        assert sum(sizes[:-1]) < granted or not sizes, "a piece went out after the last byte of credit"
        assert sum(sizes) < granted + 50
        assert task.done() or sum(sizes) >= granted, "credit is left, and yet nothing is sent"
    task.cancel()
    await asyncio.wait({task})
    assert sent.data_sizes() == pieces[: len(sent.data_sizes())], "nothing is lost, doubled or reordered"
