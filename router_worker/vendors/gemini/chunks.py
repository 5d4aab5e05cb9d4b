"""A stream of GenerateContentResponse chunks: its pieces, its usage, and whether it ended as it should.

There is no end marker: a stream is whole when the connection closes after every candidate has told its finish reason,
or after the prompt was blocked. Usage comes along with each chunk and counts upwards, so only the figures that come
with a finish reason, or after it, are final.
"""

import msgspec

from router_worker.vendors.gemini.errors import classify_in_answer, is_error
from router_worker.vendors.gemini.usage import read_tokens
from router_worker.vendors.json_fields import NULL, read_fields, without_half_pairs
from router_worker.vendors.sse import SseReader
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""Images come whole, in one chunk."""

_ABSENT = msgspec.Raw(NULL)


class Call(msgspec.Struct):
    name: str = ""
    id: str | None = None
    args: msgspec.Raw = _ABSENT


class Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: Call | None = None
    inline_data: msgspec.Raw = _ABSENT


class Content(msgspec.Struct):
    parts: list[Part] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    index: int | None = None

    @property
    def parts(self) -> list[Part]:
        return (self.content.parts or []) if self.content is not None else []

    @property
    def is_finished(self) -> bool:
        return self.finish_reason not in (None, "", "FINISH_REASON_UNSPECIFIED")


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class Chunk(msgspec.Struct, rename="camel"):
    """One chunk, or a whole answer, which has the same form."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: msgspec.Raw = _ABSENT
    response_id: str | None = None
    error: msgspec.Raw = _ABSENT

    @property
    def block_reason(self) -> str | None:
        return (self.prompt_feedback.block_reason or None) if self.prompt_feedback is not None else None

    @property
    def is_answer(self) -> bool:
        return self.candidates is not None or self.block_reason is not None

    def generated_bytes(self) -> int:
        """At least as many as there were tokens to be seen: each stands for a byte or more."""
        size = 0
        for candidate in self.candidates or ():
            for part in candidate.parts:
                size += len((part.text or "").encode())
                size += len(part.inline_data) if part.inline_data is not _ABSENT else 0
                if part.function_call is not None:
                    size += len(part.function_call.name.encode()) + len(part.function_call.args)
        return size


_CHUNK = msgspec.json.Decoder(Chunk)


def decode_chunk(payload: bytes) -> Chunk:
    """Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError."""
    payload.decode()  # what is passed over is looked at by nobody else, and JSON is UTF-8
    try:
        return _CHUNK.decode(payload)
    except msgspec.DecodeError:
        return _CHUNK.decode(without_half_pairs(payload))


class ChunkReader:
    """The properties mean what they mean in `vendor.StreamParser`; `feed` and `finish` give out the chunks to pass on,
    each with its JSON."""

    def __init__(self, choices: int = 1) -> None:
        self._choices = choices
        self._sse = SseReader()
        self._finished: set[int] = set()
        self._blocked = False
        self._not_sse: bytes | None = b""
        self.running_tokens: TokenCounts | None = None
        self.tokens: TokenCounts | None = None
        self.failure: Failure | None = None
        self.complete = False
        self.chunks = 0
        self.output_bytes = 0
        self.finish_reason: str | None = None
        self.vendor_request_id: str | None = None

    @property
    def ended(self) -> bool:
        return self.complete or self.failure is not None

    @property
    def _all_said(self) -> bool:
        return self._blocked or len(self._finished) >= self._choices

    def feed(self, data: bytes) -> list[tuple[bytes, Chunk]]:
        if self.ended:
            return []
        if self._not_sse is not None:
            self._keep_start(data)
        out: list[tuple[bytes, Chunk]] = []
        for name, payload in self._sse.feed(data):
            self._event(name, payload, out)
        if self._sse.buffered_bytes > MAX_EVENT_BYTES:
            self.fail(FailureKind.VENDOR_GARBLED)
        return out

    def finish(self) -> list[tuple[bytes, Chunk]]:
        out: list[tuple[bytes, Chunk]] = []
        if self.ended:
            return out
        last = self._sse.rest()
        # What the end cut off is not JSON any more; then it is not garbled, but broken off.
        if last is not None and read_fields(last[1]) is not None:
            self._event(*last, out)
        if self.failure is None:
            self._close()
        return out

    def fail(self, kind: FailureKind) -> None:
        self.failure = Failure(kind=kind)
        self.complete = False

    def _close(self) -> None:
        if self._all_said:
            self.complete = True
        elif self.chunks == 0 and self._not_sse:
            body = self._not_sse.strip()
            if is_error(body):
                self.failure = classify_in_answer(body, after_chunks=False)
            else:
                self.fail(FailureKind.VENDOR_GARBLED)
        else:
            self.fail(FailureKind.VENDOR_BROKE_OFF)

    def _event(self, name: bytes, payload: bytes, out: list[tuple[bytes, Chunk]]) -> None:
        payload = payload.strip()
        if self.failure is not None or not payload:
            return
        try:
            chunk = decode_chunk(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.fail(FailureKind.VENDOR_GARBLED)
            return
        if name == b"error" or bytes(chunk.error) != NULL:
            self.failure = classify_in_answer(payload, after_chunks=self.chunks > 0)
            return
        tokens = read_tokens(chunk.usage_metadata)
        if not chunk.is_answer and tokens is None:
            return  # none of this API's events: clients would look for its candidates
        self.chunks += 1
        self.output_bytes += chunk.generated_bytes()
        self.vendor_request_id = self.vendor_request_id or chunk.response_id
        self._note_end(chunk)
        self.running_tokens = tokens or self.running_tokens
        if self._all_said:
            self.tokens = self.running_tokens
        out.append((payload, chunk))

    def _note_end(self, chunk: Chunk) -> None:
        for candidate in chunk.candidates or ():
            if candidate.is_finished:
                self._finished.add(candidate.index or 0)
                self.finish_reason = candidate.finish_reason
        if chunk.block_reason is not None:
            self._blocked = True
            self.finish_reason = chunk.block_reason

    def _keep_start(self, data: bytes) -> None:
        """Keeps what comes while it looks like JSON rather than events, to say at the end what it was."""
        assert self._not_sse is not None
        start = self._not_sse + data
        looks_like_json = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b"")
        self._not_sse = start if looks_like_json and len(start) <= MAX_EVENT_BYTES else None
