"""The edge to vendors: makes one call, hands the answer to the client's stream as it comes, says how it ended.

It never raises for what a vendor does; what went wrong is in the result, for the caller to route around or report.
"""

import asyncio
import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from router_worker.call_result import CallResult
from router_worker.settings import WorkSettings
from router_worker.stream import Interrupted, Stream
from router_worker.vendors.vendor import Vendor, VendorCall, VendorRequest
from runtime.clock import Clock
from runtime.lifecycle import Deadline, Supervisor
from schemas.failures import Failure, FailureKind
from schemas.frames import Head

# Shorter than what servers use, so that we seldom write to a connection that the vendor is just closing.
KEEPALIVE_S = 15.0
# How far a vendor may run ahead of a slow client, per call, besides the stream's own credit: aiohttp stops reading at
# twice this size.
READ_BUFFER_BYTES = 64 * 1024
# The stall timer is moved at most this often, not with every chunk; nor ever more seldom than that part of the timeout,
# which is by how much a stall may be seen too early.
TIMER_GRAIN_S = 1.0
TIMER_GRAIN_PART = 0.1
AT_ONCE_BYTES = 512 * 1024
END_TIMEOUT_S = 2.0
ERROR_BODY_BYTES = 64 * 1024

Heading = Callable[[CallResult], Head]
"""Makes the HEAD frame when the answer begins; for a plain answer the result then has its tokens."""


class VendorCaller:
    def __init__(self, settings: WorkSettings, clock: Clock, supervisor: Supervisor) -> None:
        self._settings = settings
        self._clock = clock
        self._supervisor = supervisor
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout_s),
            read_bufsize=READ_BUFFER_BYTES,
        )

    async def stop(self, deadline: Deadline) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, vendor: Vendor, url: str, call: VendorCall, request: VendorRequest, stream: Stream, heading: Heading
    ) -> CallResult:
        """HEAD and DATA frames go out as the answer comes; END and ERROR are left to the caller."""
        result = CallResult()
        settings = self._settings
        first_byte_s = settings.first_byte_timeout_s if call.streaming else settings.answer_timeout_s
        try:
            with stream.interruptible():
                async with asyncio.timeout(first_byte_s) as timer:
                    work = _Work(vendor, call, stream, heading, result, timer, self._clock.now_ms())
                    await self._exchange(work, url, request)
        except Interrupted as interrupted:
            result.outcome, result.failure = "cancelled", interrupted.failure
        except aiohttp.ConnectionTimeoutError:
            result.failure = Failure(kind=FailureKind.VENDOR_CONNECT_TIMEOUT)
        except aiohttp.ClientConnectorError:
            result.failure = Failure(kind=FailureKind.VENDOR_UNREACHABLE)
        except TimeoutError:
            stalled = result.first_byte_ms is not None
            result.failure = Failure(
                kind=FailureKind.VENDOR_STALLED if stalled else FailureKind.VENDOR_FIRST_BYTE_TIMEOUT
            )
        except (aiohttp.ClientError, OSError):
            result.failure = Failure(kind=FailureKind.VENDOR_BROKE_OFF)
        if result.failure is not None and result.outcome != "cancelled":
            result.outcome = "interrupted" if result.answered else "failed"
        return result

    async def _exchange(self, work: "_Work", url: str, request: VendorRequest) -> None:
        assert self._session is not None, "call before start"
        vendor, result = work.vendor, work.result
        response = await self._session.post(
            self._url(url), data=_body(request.body, result), headers=request.headers, allow_redirects=False
        )
        whole = False
        try:
            result.status = response.status
            result.vendor_request_id = _text(vendor.request_id(response.headers))
            if not 200 <= response.status < 300:
                result.began = False
                body = await _read_start(response, ERROR_BODY_BYTES)
                result.failure = vendor.classify_error(response.status, response.headers, body, self._clock.now_ms())
                return
            if work.call.streaming:
                await self._stream(work, response)
            else:
                await self._plain(work, response)
            whole = result.failure is None
        finally:
            if not whole:
                # Closing tells the vendor to stop; a connection with half an answer on it is of no further use.
                response.close()
            elif response.content.at_eof():
                response.release()
            else:
                self._supervisor.spawn_one_of_many(_release_at_end(response), "end of a vendor's stream")

    def _url(self, text: str) -> URL:
        url = self._urls.get(text)
        if url is None:
            url = self._urls[text] = URL(text, encoded=True)
        return url

    async def _plain(self, work: "_Work", response: aiohttp.ClientResponse) -> None:
        result = work.result
        result.first_byte_ms = self._clock.now_ms() - work.started_ms
        body = await _read_limited(response, self._settings.max_answer_bytes)
        if body is None:
            result.failure = Failure(kind=FailureKind.VENDOR_GARBLED, message="The vendor's answer is too large.")
            return
        parsed = work.vendor.parse_response(work.call, response.status, response.headers, body)
        if isinstance(parsed, Failure):
            result.failure = parsed
            return
        result.tokens = parsed.tokens
        result.output_bytes = parsed.output_bytes
        result.vendor_request_id = result.vendor_request_id or parsed.vendor_request_id
        work.begin_answer()
        answer = parsed.body_for_client
        for start in range(0, len(answer), READ_BUFFER_BYTES):
            if not work.stream.has_credit:
                work.timer.reschedule(None)  # what may still take long is the client, not the vendor
            await work.stream.send_data(answer[start : start + READ_BUFFER_BYTES])

    async def _stream(self, work: "_Work", response: aiohttp.ClientResponse) -> None:
        loop = asyncio.get_running_loop()
        result, stream, timer = work.result, work.stream, work.timer
        parser = work.vendor.open_stream(work.call)
        moved_at_s = 0.0
        stall_s = self._settings.stall_timeout_s
        grain_s = min(TIMER_GRAIN_S, stall_s * TIMER_GRAIN_PART)
        try:
            while not parser.ended:
                data = await response.content.readany()
                output = parser.feed(data) if data else parser.finish()
                if output:
                    if not result.answered:
                        result.first_byte_ms = self._clock.now_ms() - work.started_ms
                        work.begin_answer()
                    if not stream.has_credit:
                        timer.reschedule(None)  # a slow client must not look like a stalled vendor
                        moved_at_s = 0.0
                    await stream.send_data(output)
                now_s = loop.time()
                # Some formats hold back what was generated until it is whole: that is no vendor that does not answer.
                if (result.answered or parser.chunks) and now_s - moved_at_s >= grain_s:
                    timer.reschedule(now_s + stall_s)
                    moved_at_s = now_s
                if not data:
                    break
        finally:
            result.tokens = parser.tokens
            # While a client does not read, the vendor generates on into the buffers between: what has been seen of it
            # bounds nothing.
            result.output_bytes = parser.output_bytes if parser.ended or stream.has_credit else None
            result.vendor_request_id = result.vendor_request_id or parser.vendor_request_id
        result.failure = parser.failure


@dataclass(slots=True)
class _Work:
    """One call while it is made."""

    vendor: Vendor
    call: VendorCall
    stream: Stream
    heading: Heading
    result: CallResult
    timer: asyncio.Timeout
    started_ms: int

    def begin_answer(self) -> None:
        self.result.answered = True
        self.stream.send_head(self.heading(self.result))


class _Body(aiohttp.BytesPayload):
    """Notes when it is sent: from then on the vendor may work, and charge, even if we hang up before it answers."""

    def __init__(self, body: bytes, result: CallResult) -> None:
        super().__init__(body)
        self._result = result

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._result.began = True
        await super().write_with_length(writer, content_length)


class _LargeBody(aiohttp.BytesIOPayload):
    """The same, in pieces: written at once it would hold up every other request for that long."""

    def __init__(self, body: bytes, result: CallResult) -> None:
        super().__init__(io.BytesIO(body))
        self._result = result

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._result.began = True
        await super().write_with_length(writer, content_length)


def _body(body: bytes, result: CallResult) -> aiohttp.Payload:
    return _Body(body, result) if len(body) <= AT_ONCE_BYTES else _LargeBody(body, result)


def _text(header: str | None) -> str | None:
    """None for bytes that are no text: a usage record with them could not be written."""
    return header if header is not None and header.isascii() else None


async def _release_at_end(response: aiohttp.ClientResponse) -> None:
    """The answer was whole, but its connection is free only after the very last bytes. Nobody waits for them."""
    try:
        async with asyncio.timeout(END_TIMEOUT_S):
            while await response.content.readany():
                pass
        response.release()
    except (TimeoutError, aiohttp.ClientError, OSError):
        response.close()


async def _read_start(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """An error's body, or as much of it as comes: it only explains a refusal that the status has already told."""
    parts: list[bytes] = []
    size = 0
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(END_TIMEOUT_S):
            while size < limit_bytes and (data := await response.content.readany()):
                parts.append(data)
                size += len(data)
    return b"".join(parts)[:limit_bytes]


async def _read_limited(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes | None:
    """The whole body; None if it is larger than the limit."""
    # What is announced is the size on the way: compressed, it may be a thousandth of what comes out.
    if response.content_length is not None and response.content_length > limit_bytes:
        return None
    parts: list[bytes] = []
    size = 0
    while data := await response.content.readany():
        size += len(data)
        if size > limit_bytes:
            return None
        parts.append(data)
    return b"".join(parts)
