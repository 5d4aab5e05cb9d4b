"""One call from its first byte to its last: pacing, faults, and every step written into the ledger.

The ledger is written before the bytes go out, never after: whoever has seen an answer, or a part of it, finds it
in the ledger.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote

from aiohttp import HttpVersion11, web

from deploy.local.vendors.ask import Ask
from deploy.local.vendors.behaviour import Behaviour, BehaviourError, parse_behaviour
from deploy.local.vendors.generation import Plan
from deploy.local.vendors.ledger import Call, Ledger
from deploy.local.vendors.prices import ModelPrice, PriceTable
from deploy.local.vendors.wire import Frames, Incoming, Refused, Wire

ATTEMPT_ID_HEADER = "X-Tollhouse-Attempt-Id"
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"

# A burst goes out in writes of about this size: a slow reader then stalls the generation, and what it never
# took is not charged.
_BURST_BYTES = 32 * 1024
_FAULTS_WITHIN_THE_ANSWER = frozenset({"hang-after", "break-after", "error-in-stream"})
_MAX_CACHED_MODELS = 10_000


class Vendors:
    """All simulated vendors. `run_id` keeps the answer ids of different runs apart."""

    def __init__(self, ledger: Ledger, prices: PriceTable, run_id: str) -> None:
        self.ledger = ledger
        self.prices = prices
        self._run_id = run_id
        self._models: dict[tuple[str, str], tuple[Behaviour, ModelPrice]] = {}
        self._flaky_calls: dict[tuple[str, str], int] = {}

    def reset(self) -> int:
        """Forgets the ledger and the counts of `flaky`; returns the number of calls forgotten."""
        self._flaky_calls.clear()
        return self.ledger.clear()

    async def call(
        self, request: web.BaseRequest, wire: Wire, vendor: str, path_params: Mapping[str, str]
    ) -> web.StreamResponse:
        """`path_params` still percent-encoded."""
        headers = request.headers
        ledger = self.ledger
        call = ledger.open(vendor, headers.get(ATTEMPT_ID_HEADER), headers.get(IDEMPOTENCY_KEY_HEADER))
        try:
            try:
                body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                raise Refused(413, "The body of the request is too large.") from None
            ask, behaviour = self._accept(call, wire, _incoming(request, path_params, body))
            return await self._answer(request, wire, call, ask, behaviour)
        except Refused as refused:
            ledger.close(call, "error", refused.status)
            return _error_response(call, wire, refused)
        except asyncio.CancelledError:
            ledger.close(call, "hung_up", call.status)
            raise
        except ConnectionResetError:
            # aiohttp raises this for a write after the caller left; there is nobody left to answer.
            ledger.close(call, "hung_up", call.status)
            return web.Response()
        finally:
            # Only a defect of the simulator leaves a call open here; aiohttp answers it with a plain 500.
            ledger.close(call, "error", 500)

    def _accept(self, call: Call, wire: Wire, incoming: Incoming) -> tuple[Ask, Behaviour]:
        try:
            wire.authorize(incoming)
            ask = wire.decode(incoming)
        except Refused:
            call.model, call.stream = wire.peek(incoming)
            raise
        call.model = ask.model
        call.stream = ask.stream
        known = self._models.get((call.vendor, ask.model))
        if known is None:
            known = self._learn(call.vendor, ask.model)
        behaviour, call.price = known
        return ask, behaviour

    def _learn(self, vendor: str, model: str) -> tuple[Behaviour, ModelPrice]:
        try:
            behaviour = parse_behaviour(model)
        except BehaviourError as malformed:
            raise Refused(400, f"Model {model!r}: {malformed}.", param="model", code="invalid_value") from None
        if len(self._models) >= _MAX_CACHED_MODELS:
            self._models.clear()
        known = behaviour, self.prices.price(vendor, behaviour.name)
        self._models[vendor, model] = known
        return known

    async def _answer(
        self, request: web.BaseRequest, wire: Wire, call: Call, ask: Ask, behaviour: Behaviour
    ) -> web.StreamResponse:
        kind = behaviour.kind
        if kind == "never":
            await _silence()
        if kind == "slow-headers":
            await asyncio.sleep(behaviour.params.delay_ms / 1000)
        refusal = self._refusal(behaviour, wire, call.vendor, ask)
        if refusal is not None:
            await asyncio.sleep(behaviour.ttft_s)
            raise refusal
        if kind == "garbage":
            await asyncio.sleep(behaviour.ttft_s)
            self.ledger.close(call, "error", 200)
            if ask.stream:
                return _response(call, wire, wire.garbage_events, wire.stream_content_type)
            return _response(call, wire, wire.garbage_body, "application/json")

        plan = Plan(behaviour, ask)
        usage_sent = not behaviour.params.no_usage and wire.sends_usage(ask)
        answer_id = f"{self._run_id}{call.number:08x}"
        created = int(call.received_at)
        if ask.stream:
            frames = wire.frames(answer_id, created, ask, plan, usage_sent)
            if behaviour.ttft_s or behaviour.gap_s or kind in _FAULTS_WITHIN_THE_ANSWER or _is_long(plan):
                return await self._stream(request, wire, call, behaviour, ask, plan, frames, usage_sent)
            _begin(call, ask, plan)
            self._complete(call, plan, usage_sent)
            events = [frames.opening(), *map(frames.piece, range(len(plan.pieces))), frames.closing()]
            burst = _response(call, wire, b"".join(events), wire.stream_content_type)
            if request.version >= HttpVersion11:
                burst.enable_chunked_encoding()
            return burst
        await _generate_silently(call, behaviour, ask, plan)
        if kind == "error-in-stream":
            # Failed before anything was sent: an error status, which costs nothing like any other.
            _forget(call)
            raise Refused(500, "The simulated vendor failed while generating.")
        body = wire.reply(answer_id, created, ask, plan, usage_sent)
        if kind in _FAULTS_WITHIN_THE_ANSWER:
            return await self._half_answer(request, call, kind, body)
        self._complete(call, plan, usage_sent)
        return _response(call, wire, body, "application/json")

    def _refusal(self, behaviour: Behaviour, wire: Wire, vendor: str, ask: Ask) -> Refused | None:
        params = behaviour.params
        match behaviour.kind:
            case "status":
                message = f"The simulated vendor answers {params.code}."
                return Refused(params.code, message, retry_after_s=params.retry_after_s)
            case "flaky":
                key = (vendor, ask.model)
                count = self._flaky_calls[key] = self._flaky_calls.get(key, 0) + 1
                if count % params.every == 0:
                    message = f"The simulated vendor fails call {count} (every {params.every})."
                    return Refused(params.code, message, retry_after_s=params.retry_after_s)
            case "context-length":
                return wire.too_long(ask.prompt_tokens)
            case "bad-key":
                return wire.wrong_key()
        return None

    def _complete(self, call: Call, plan: Plan, usage_sent: bool) -> None:
        _progress(call, plan, len(plan.pieces))
        call.usage_sent = usage_sent
        self.ledger.close(call, "completed", 200)

    async def _stream(
        self,
        request: web.BaseRequest,
        wire: Wire,
        call: Call,
        behaviour: Behaviour,
        ask: Ask,
        plan: Plan,
        frames: Frames,
        usage_sent: bool,
    ) -> web.StreamResponse:
        """Headers at once; piece k at ttft + k gaps after them, the end at ttft + all gaps."""
        loop = asyncio.get_running_loop()
        first_at = loop.time() + behaviour.ttft_s
        gap_s = behaviour.gap_s
        response = web.StreamResponse(headers=_stream_headers(call, wire))
        call.status = 200
        await response.prepare(request)
        if behaviour.ttft_s:
            await asyncio.sleep(behaviour.ttft_s)
        _begin(call, ask, plan)
        count = len(plan.pieces)
        if gap_s:
            opening = frames.opening()
            for index in range(count):
                if index:
                    await asyncio.sleep(first_at + index * gap_s - loop.time())
                _progress(call, plan, index + 1)
                event = opening + frames.piece(index)
                opening = b""
                if event:
                    await response.write(event)
            await asyncio.sleep(first_at + count * gap_s - loop.time())
        else:
            opening = await _write_burst(response, call, plan, frames)
        if opening:
            await response.write(opening)

        if behaviour.kind == "hang-after":
            await _silence()
        if behaviour.kind == "break-after":
            return self._break(request, call, response)
        # Not await: from here to the last write the caller cannot leave unnoticed between ledger and bytes.
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError
        if behaviour.kind == "error-in-stream":
            self.ledger.close(call, "error", 200)
            failed = Refused(500, "The simulated vendor failed while generating.")
            await response.write_eof(frames.error(failed))
        else:
            self._complete(call, plan, usage_sent)
            await response.write_eof(frames.closing())
        return response

    async def _half_answer(self, request: web.BaseRequest, call: Call, kind: str, body: bytes) -> web.StreamResponse:
        """A whole (not streamed) answer of which only the first half is sent."""
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        response = web.StreamResponse(headers=headers)
        call.status = 200
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if kind == "hang-after":
            await _silence()
        return self._break(request, call, response)

    def _break(self, request: web.BaseRequest, call: Call, response: web.StreamResponse) -> web.StreamResponse:
        self.ledger.close(call, "broken", 200)
        if request.transport is not None:
            # close, not abort: what was written still arrives, then the end without the end of the body.
            request.transport.close()
        return response


async def _silence() -> None:
    """Until the caller hangs up, which cancels the handler."""
    await asyncio.get_running_loop().create_future()


async def _generate_silently(call: Call, behaviour: Behaviour, ask: Ask, plan: Plan) -> None:
    """Generation of an answer that is sent as a whole; a caller who leaves pays for the gaps that had passed."""
    if behaviour.ttft_s:
        await asyncio.sleep(behaviour.ttft_s)
    _begin(call, ask, plan)
    count = len(plan.pieces)
    if behaviour.gap_s and count:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        try:
            await asyncio.sleep(count * behaviour.gap_s)
        except asyncio.CancelledError:
            _progress(call, plan, min(count, int((loop.time() - began_at) / behaviour.gap_s)))
            raise
    _progress(call, plan, count)


async def _write_burst(response: web.StreamResponse, call: Call, plan: Plan, frames: Frames) -> bytes:
    """All pieces without a pause; returns what is still to be written."""
    pending = [frames.opening()]
    pending_bytes = 0
    for index in range(len(plan.pieces)):
        frame = frames.piece(index)
        pending.append(frame)
        pending_bytes += len(frame)
        _progress(call, plan, index + 1)
        if pending_bytes >= _BURST_BYTES:
            await response.write(b"".join(pending))
            pending.clear()
            pending_bytes = 0
    return b"".join(pending)


def _begin(call: Call, ask: Ask, plan: Plan) -> None:
    if ask.task == "count":
        return
    call.prompt_tokens = plan.prompt_tokens
    call.cached_tokens = plan.cached_tokens
    call.cache_write_tokens = plan.cache_write_tokens
    call.cache_write_1h_tokens = plan.cache_write_1h_tokens


def _forget(call: Call) -> None:
    call.prompt_tokens = call.cached_tokens = call.completion_tokens = call.reasoning_tokens = 0
    call.cache_write_tokens = call.cache_write_1h_tokens = 0


def _progress(call: Call, plan: Plan, pieces_done: int) -> None:
    call.completion_tokens = plan.tokens_after(pieces_done)
    call.reasoning_tokens = min(plan.reasoning_tokens, call.completion_tokens)


def _is_long(plan: Plan) -> bool:
    return len(plan.pieces) * plan.choices > 256 or sum(map(len, plan.pieces)) > _BURST_BYTES


def _incoming(request: web.BaseRequest, path_params: Mapping[str, str], body: bytes) -> Incoming:
    path, _, query = request.raw_path.partition("?")
    return Incoming(
        method=request.method,
        raw_path=path,
        raw_query=query,
        path_params={name: unquote(value) for name, value in path_params.items()} if path_params else path_params,
        query=request.query if query else {},
        headers=request.headers,
        body=body,
    )


def _response(call: Call, wire: Wire, body: bytes, content_type: str) -> web.Response:
    headers = {"Content-Type": content_type, wire.request_id_header: f"req_{call.number}"}
    return web.Response(body=body, headers=headers)


def _error_response(call: Call, wire: Wire, refused: Refused) -> web.Response:
    headers = {"Content-Type": "application/json", wire.request_id_header: f"req_{call.number}"}
    headers |= wire.error_headers(refused)
    if refused.retry_after_s is not None and wire.sends_retry_after_header:
        headers["Retry-After"] = str(refused.retry_after_s)
    return web.Response(status=refused.status, body=wire.error_body(refused), headers=headers)


def _stream_headers(call: Call, wire: Wire) -> dict[str, str]:
    return {
        "Content-Type": wire.stream_content_type,
        "Cache-Control": "no-cache",
        wire.request_id_header: f"req_{call.number}",
    }
