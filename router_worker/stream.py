"""One request's place on the reply channel, as the worker sees it: claim, credit, and being interrupted. No I/O."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from schemas.failures import Failure
from schemas.frames import (
    REFUSE_DECODER,
    Claim,
    End,
    FrameType,
    Head,
    Settled,
    encode_payload,
    frame,
    read_accept,
    read_credit,
    read_payload,
)


class Sender(Protocol):
    def send(self, frame: bytes) -> None:
        """Never blocks."""


class Refused(Exception):
    """The ingress does not want this call made; or the ingress itself is gone. `reason`: a RefusalReason, or the kind
    of failure that ended the stream."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Interrupted(Exception):
    """Nobody waits for the answer any more. `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


class Stream:
    """Belongs to the task that serves the request; `on_frame` and `interrupt` are called by the channel.

    Law: bytes sent never exceed the credit by more than the one piece that used up its last byte.
    """

    __slots__ = ("_answer", "_credit", "_credit_waiter", "_sender", "_task", "doubles", "interrupted", "stream_id")

    def __init__(self, sender: Sender, stream_id: int) -> None:
        self.stream_id = stream_id
        self.doubles: list[Callable[[], None]] = []
        """What to call when the claim is decided, besides: the record came to this worker more than once."""
        self.interrupted: Failure | None = None
        self._sender = sender
        self._credit = 0
        self._answer: asyncio.Future[bytes] | None = None
        self._credit_waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[object] | None = None

    # The channel's side.

    def on_frame(self, frame_type: FrameType, payload: bytes) -> None:
        """Raises FrameError for a payload that cannot be read."""
        if frame_type is FrameType.CREDIT:
            self._add_credit(read_credit(payload))
        elif frame_type is FrameType.ACCEPT:
            credit, body = read_accept(payload)
            self._add_credit(credit)
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(body)
        elif frame_type is FrameType.REFUSE and self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refused(read_payload(REFUSE_DECODER, payload).reason))

    def _add_credit(self, credit_bytes: int) -> None:
        self._credit += credit_bytes
        if self._credit > 0 and self._credit_waiter is not None and not self._credit_waiter.done():
            self._credit_waiter.set_result(None)

    def interrupt(self, failure: Failure) -> None:
        """Ends the vendor call that is under way, if there is one, at once; and every later wait."""
        if self.interrupted is not None:
            return
        self.interrupted = failure
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refused(failure.kind.value))
        if self._task is not None:
            self._task.cancel()

    # The serving task's side.

    async def claim(self, claim: Claim) -> bytes:
        """The body, if the ingress held it, else nothing. Raises Refused."""
        if self.interrupted is not None:
            raise Refused(self.interrupted.kind.value)
        self._answer = asyncio.get_running_loop().create_future()
        self.send(FrameType.CLAIM, encode_payload(claim))
        try:
            return await self._answer
        finally:
            self._answer = None

    def interruptible(self) -> "_Interruptible":
        """`with stream.interruptible():` turns an interruption inside the block into the exception Interrupted."""
        return _Interruptible(self)

    @property
    def has_credit(self) -> bool:
        return self._credit > 0

    async def send_data(self, data: bytes) -> None:
        """Waits while there is no credit, so the caller reads no more from the vendor meanwhile."""
        while self._credit <= 0:
            self._credit_waiter = asyncio.get_running_loop().create_future()
            try:
                await self._credit_waiter
            finally:
                self._credit_waiter = None
        self._credit -= len(data)
        self.send(FrameType.DATA, data)

    def send_head(self, head: Head) -> None:
        self.send(FrameType.HEAD, encode_payload(head))

    def send_end(self, end: End) -> None:
        self.send(FrameType.END, encode_payload(end))

    def send_error(self, failure: Failure) -> None:
        self.send(FrameType.ERROR, encode_payload(failure))

    def send_settled(self, settled: Settled) -> None:
        self.send(FrameType.SETTLED, encode_payload(settled))

    def send_abandoned(self) -> None:
        self.send(FrameType.ABANDONED)

    def send(self, frame_type: FrameType, payload: bytes = b"") -> None:
        self._sender.send(frame(frame_type, self.stream_id, payload))


class _Interruptible:
    """The cancellation that `interrupt` makes is ours, so it is undone here and told as Interrupted; any other
    cancellation of the task passes through."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __enter__(self) -> None:
        if self._stream.interrupted is not None:
            raise Interrupted(self._stream.interrupted)
        self._stream._task = asyncio.current_task()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        task, self._stream._task = self._stream._task, None
        failure = self._stream.interrupted
        if failure is not None and kind is not None and issubclass(kind, asyncio.CancelledError):
            assert task is not None
            if task.uncancel() == 0:
                raise Interrupted(failure) from error
