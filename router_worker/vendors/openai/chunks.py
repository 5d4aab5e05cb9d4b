"""What every reader of a stream of OpenAI-like chunks does: takes events apart, and tells an end from a break."""

from collections.abc import Callable
from typing import Generic, TypeVar

from router_worker.vendors.json_fields import read_fields
from router_worker.vendors.openai.errors import classify_in_answer
from router_worker.vendors.sse import SseReader
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

DONE = b"[DONE]"
MAX_EVENT_BYTES = 16 * 1024 * 1024

Out = TypeVar("Out")


class ChunkReader(Generic[Out]):
    """A subclass reads chunks (`_read_chunk`) and counts them; it gives out bytes for a client, or events."""

    def __init__(self, choices: int) -> None:
        self._choices = choices
        self._sse = SseReader()
        self._finished_choices: set[int] = set()
        self._done = False
        self.tokens: TokenCounts | None = None
        self._running_tokens: TokenCounts | None = None
        self.failure: Failure | None = None
        self.complete = False
        self.chunks = 0
        self.output_bytes = 0
        self.finish_reason: str | None = None
        self.vendor_request_id: str | None = None
        self._not_sse: bytes | None = b""

    @property
    def ended(self) -> bool:
        return self._done or self.failure is not None

    def _read_chunk(self, name: bytes, payload: bytes, emit: Callable[[Out], None]) -> None:
        raise NotImplementedError

    def _at_end(self, emit: Callable[[Out], None]) -> None:
        """The answer is whole."""
        raise NotImplementedError

    def _take(self, data: bytes) -> list[Out]:
        if self.ended:
            return []
        if self._not_sse is not None:
            self._keep_start(data)
        out: list[Out] = []
        for name, payload in self._sse.feed(data):
            self._event(name, payload, out.append)
        if self._sse.buffered_bytes > MAX_EVENT_BYTES:
            self._fail(FailureKind.VENDOR_GARBLED)
        return out

    def _close(self) -> list[Out]:
        out: list[Out] = []
        if not self.ended:
            self._last_event(out.append)
            self._judge_end(out.append)
        return out

    def _last_event(self, emit: Callable[[Out], None]) -> None:
        last = self._sse.rest()
        # What the end cut off is not JSON any more; then it is not garbled, but broken off.
        if last is not None and (last[1].strip() == DONE or read_fields(last[1]) is not None):
            self._event(*last, emit)

    def _judge_end(self, emit: Callable[[Out], None]) -> None:
        if self.ended:
            return
        if len(self._finished_choices) >= self._choices:
            # Some vendors just close; clients wait for the mark.
            self._end(emit)
        elif self.chunks == 0 and self._not_sse:
            self._judge_what_is_no_stream(self._not_sse)
        else:
            self._fail(FailureKind.VENDOR_BROKE_OFF)

    def _event(self, name: bytes, payload: bytes, emit: Callable[[Out], None]) -> None:
        if self.ended:
            return
        if (stripped := payload.strip()) == DONE:
            self._end(emit)
        elif stripped:
            self._read_chunk(name, stripped, emit)

    def _end(self, emit: Callable[[Out], None]) -> None:
        if self.chunks == 0:
            self._fail(FailureKind.VENDOR_GARBLED)
            return
        self._at_end(emit)
        if self.failure is None:
            self._done = self.complete = True
            self.tokens = self.tokens or self._running_tokens

    def _keep_start(self, data: bytes) -> None:
        """Keeps what comes while it looks like one JSON object rather than events, to say at the end what it was."""
        assert self._not_sse is not None
        start = self._not_sse + data
        looks_like_json = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"")
        self._not_sse = start if looks_like_json and len(start) <= MAX_EVENT_BYTES else None

    def _judge_what_is_no_stream(self, data: bytes) -> None:
        fields = read_fields(data.strip())
        if fields is not None and ("error" in fields or "choices" not in fields):
            self.failure = classify_in_answer(data, after_chunks=False)
        else:
            self._fail(FailureKind.VENDOR_GARBLED)

    def _fail(self, kind: FailureKind) -> None:
        self.failure = Failure(kind=kind)
