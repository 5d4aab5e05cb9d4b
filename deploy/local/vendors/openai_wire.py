"""OpenAI's chat completions on the wire: requests in, completions, chunks and errors out.

Source: OpenAI's API reference. In a stream with `stream_options.include_usage` every chunk has `"usage":null`
except a last one with empty `choices` and the figures; without it no chunk has the field. What vendors do otherwise is
in vendor_rules.py.
"""

from typing import Any

import msgspec
import orjson

from deploy.local.vendors.ask import Ask
from deploy.local.vendors.complaints import BodyReader, Complaint, NotJson
from deploy.local.vendors.generation import Block, Plan
from deploy.local.vendors.openai_reading import chat_ask, refusal
from deploy.local.vendors.openai_request import ChatRequest, OpenChatRequest
from deploy.local.vendors.vendor_rules import RULES, STRICT, VendorRules
from deploy.local.vendors.wire import Endpoint, Incoming, Refused, Wire

_FINGERPRINT = b'"service_tier":"default","system_fingerprint":"fp_simulator"'
_AZURE = "/azure/"
_STATUS_TYPES = {403: "permission_error", 408: "timeout", 409: "conflict", 429: "requests"}
_STATUS_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class _Peeked(msgspec.Struct):
    model: Any = None
    stream: Any = None


def endpoints() -> tuple[Endpoint, ...]:
    documented = OpenAIWire()
    of_vendor = {vendor: OpenAIWire(rules) for vendor, rules in RULES.items()}
    return (Endpoint("POST", "/chat/completions", documented, of_vendor=of_vendor),)


def models_endpoints() -> tuple[Endpoint, ...]:
    """Of every vendor that has no list in a format of its own."""
    return (Endpoint("GET", "/models", OpenAIWire(), lists_models=True),)


class OpenAIWire(Wire):
    stream_content_type = "text/event-stream; charset=utf-8"
    garbage_body = b'{"id":"chatcmpl-garbage","object":"chat.completion","choices":[{"index":0,"mess'
    garbage_events = b'data: {"id":"chatcmpl-\n\ndata: <html>Bad Gateway</html>\n\n\x00\xff\xfe nonsense\n\ndata\n\n'

    def __init__(self, rules: VendorRules = STRICT) -> None:
        self._rules = rules
        self._reader: BodyReader[ChatRequest] = BodyReader(OpenChatRequest if rules.extra_fields else ChatRequest)
        self._peeker = msgspec.json.Decoder(_Peeked)

    def authorize(self, incoming: Incoming) -> None:
        check_bearer(incoming)

    def decode(self, incoming: Incoming) -> Ask:
        try:
            request = self._reader.read(incoming.body)
        except Complaint as complaint:
            raise refusal(complaint) from None
        except NotJson:
            raise Refused(400, "The body of the request could not be parsed as JSON.") from None
        return chat_ask(request, self._rules)

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        try:
            seen = self._peeker.decode(incoming.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None
        return (
            seen.model if isinstance(seen.model, str) else None,
            seen.stream if isinstance(seen.stream, bool) else None,
        )

    def sends_usage(self, ask: Ask) -> bool:
        return ask.wants_usage or not ask.stream

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        message = _message(answer_id, plan, self._rules.reasoning_field)
        finish = _finish(plan)
        choices = b",".join(
            b'{"index":%d,"message":%b,"logprobs":null,"finish_reason":"%b"}' % (index, message, finish)
            for index in range(plan.choices)
        )
        usage = b'"usage":%b,' % _usage(plan) if usage_sent else b""
        return b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":%b,"choices":[%b],%b%b}' % (
            answer_id.encode(),
            created,
            orjson.dumps(ask.model),
            choices,
            usage,
            _FINGERPRINT,
        )

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> "OpenAIFrames":
        return OpenAIFrames(answer_id, created, ask, plan, usage_sent, self._rules)

    def error_body(self, refused: Refused) -> bytes:
        return error_envelope(refused)

    def models_body(self, vendor: str, models: list[str]) -> bytes:
        data = [{"id": model, "object": "model", "created": 0, "owned_by": vendor} for model in models]
        return orjson.dumps({"object": "list", "data": data})


class OpenAIFrames:
    """Server-sent events of one streamed completion. With several choices each piece is sent for every one."""

    __slots__ = ("_answer_id", "_head", "_plan", "_rules", "_tail", "_usage_sent", "_wants_usage")

    def __init__(
        self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool, rules: VendorRules
    ) -> None:
        self._answer_id = answer_id
        self._plan = plan
        self._usage_sent = usage_sent
        self._rules = rules
        self._wants_usage = ask.wants_usage
        self._head = (
            b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":%d,"model":%b,%b,"choices":['
            % (
                answer_id.encode(),
                created,
                orjson.dumps(ask.model),
                _FINGERPRINT,
            )
        )
        self._tail = b'}],"usage":null}\n\n' if ask.wants_usage else b"}]}\n\n"

    def opening(self) -> bytes:
        blocks = self._plan.blocks
        if not blocks or blocks[0].kind != "tool":
            return self._each_choice(b'{"role":"assistant","content":"","refusal":null}')
        call = self._call_header(blocks[0])
        return self._each_choice(b'{"role":"assistant","content":null,"tool_calls":[%b],"refusal":null}' % call)

    def piece(self, index: int) -> bytes:
        plan = self._plan
        text = orjson.dumps(plan.pieces[index])
        block = plan.block_at(index)
        if block.kind == "text":
            return self._each_choice(b'{"content":%b}' % text)
        if block.kind == "thinking":
            return self._each_choice(b"{%b:%b}" % (orjson.dumps(self._rules.reasoning_field), text))
        delta = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (block.call, text)
        if index and block.first == index:
            header = self._each_choice(b'{"tool_calls":[%b]}' % self._call_header(block))
            return header + self._each_choice(delta)
        return self._each_choice(delta)

    def closing(self) -> bytes:
        end = self._each_choice(b"{}", b'"%b"' % _finish(self._plan))
        if self._wants_usage and self._usage_sent:
            end += self._head + b'],"usage":%b}\n\n' % _usage(self._plan)
        return end + b"data: [DONE]\n\n"

    def error(self, refused: Refused) -> bytes:
        return b"data: %b\n\n" % error_envelope(refused)

    def _each_choice(self, delta: bytes, finish: bytes = b"null") -> bytes:
        rest = b',"delta":' + delta + b',"logprobs":null,"finish_reason":' + finish + self._tail
        if self._plan.choices == 1:
            return self._head + b'{"index":0' + rest
        return b"".join(b'%b{"index":%d%b' % (self._head, index, rest) for index in range(self._plan.choices))

    def _call_header(self, block: Block) -> bytes:
        return b'{"index":%d,"id":"%b","type":"function","function":{"name":%b,"arguments":""}}' % (
            block.call,
            _tool_call_id(self._answer_id, block),
            orjson.dumps(block.tool_name),
        )


def error_envelope(refused: Refused) -> bytes:
    status = refused.status
    error = {
        "message": refused.message,
        "type": _STATUS_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error"),
        "param": refused.param,
        # An empty code says that this refusal has none, whatever its status usually carries.
        "code": _STATUS_CODES.get(status) if refused.code is None else refused.code or None,
    }
    return orjson.dumps({"error": error})


def check_bearer(incoming: Incoming) -> None:
    """A Bearer token that is not `bad` (of Azure: the header `api-key`), and a JSON body; raises Refused."""
    scheme, _, key = incoming.headers.get("Authorization", "").partition(" ")
    if incoming.raw_path.startswith(_AZURE):
        scheme, key = "bearer", incoming.headers.get("api-key", "")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise Refused(401, "You did not provide an API key: send it as a Bearer token.", code="")
    if key == "bad":
        raise Refused(401, "Incorrect API key provided.")
    content_type = incoming.headers.get("Content-Type")
    if content_type != "application/json" and incoming.method == "POST":
        media_type = (content_type or "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refused(400, f"Unsupported content type: {media_type!r}.", code="unsupported_content_type")


def _finish(plan: Plan) -> bytes:
    return b"stop" if plan.finish_reason == "stop_sequence" else plan.finish_reason.encode()


def _usage(plan: Plan) -> bytes:
    written = plan.cache_write_tokens + plan.cache_write_1h_tokens
    return (
        b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
        b'"prompt_tokens_details":{"cached_tokens":%d,%b"audio_tokens":0},'
        b'"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0,'
        b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
    ) % (
        plan.prompt_tokens,
        plan.completion_tokens,
        plan.prompt_tokens + plan.completion_tokens,
        plan.cached_tokens,
        b'"cache_write_tokens":%d,' % written if written else b"",
        plan.reasoning_tokens,
    )


def _message(answer_id: str, plan: Plan, reasoning_field: str | None) -> bytes:
    thinking = plan.thinking()
    thought = b"%b:%b," % (orjson.dumps(reasoning_field), orjson.dumps(thinking)) if thinking else b""
    tools = plan.all_of("tool")
    if not tools:
        text = orjson.dumps(plan.text())
        return b'{"role":"assistant",%b"content":%b,"refusal":null,"annotations":[]}' % (thought, text)
    calls = b",".join(
        b'{"id":"%b","type":"function","function":{"name":%b,"arguments":%b}}'
        % (_tool_call_id(answer_id, block), orjson.dumps(block.tool_name), orjson.dumps(plan.text_of(block)))
        for block in tools
    )
    return b'{"role":"assistant",%b"content":null,"tool_calls":[%b],"refusal":null,"annotations":[]}' % (thought, calls)


def _tool_call_id(answer_id: str, block: Block) -> bytes:
    return b"call_%b_%d" % (answer_id.encode(), block.call)
