"""OpenAI's chat completions on the wire: requests in, completions, chunks and errors out.

Source: OpenAI's API reference. In a stream with `stream_options.include_usage` every chunk has `"usage":null`
except a last one with empty `choices` and the figures; without it no chunk has the field. What vendors do otherwise is
in vendor_rules.py.
"""

import re
from typing import Any

import msgspec
import orjson

from deploy.local.vendors.generation import Ask, Plan, Tool
from deploy.local.vendors.openai_request import (
    AssistantMessage,
    ChatRequest,
    FunctionChoice,
    FunctionTool,
    Message,
    OpenChatRequest,
    TextPart,
    ToolMessage,
    UserMessage,
)
from deploy.local.vendors.vendor_rules import STRICT, VendorRules
from deploy.local.vendors.wire import Refused

# An image, sound or file counts as this many prompt tokens, whatever its size.
NON_TEXT_PART_TOKENS = 85
_FINGERPRINT = b'"service_tier":"default","system_fingerprint":"fp_simulator"'
_FIELD_PATH = re.compile(r"^(?P<what>.*?)(?: - at `(?P<place>[^`]*)`)?$", re.DOTALL)
_FIELD_NAME = re.compile(r"(?:unknown|required) field `(?P<field>[^`]*)`")
_STATUS_TYPES = {403: "permission_error", 408: "timeout", 409: "conflict", 429: "requests"}
_STATUS_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class _Peeked(msgspec.Struct):
    model: Any = None
    stream: Any = None


class OpenAIWire:
    stream_content_type = "text/event-stream; charset=utf-8"
    garbage_body = b'{"id":"chatcmpl-garbage","object":"chat.completion","choices":[{"index":0,"mess'
    garbage_events = b'data: {"id":"chatcmpl-\n\ndata: <html>Bad Gateway</html>\n\n\x00\xff\xfe nonsense\n\ndata\n\n'

    def __init__(self, rules: VendorRules = STRICT) -> None:
        self._rules = rules
        self._decoder: msgspec.json.Decoder[ChatRequest] = msgspec.json.Decoder(
            OpenChatRequest if rules.extra_fields else ChatRequest
        )
        self._peeker = msgspec.json.Decoder(_Peeked)

    def authorize(self, authorization: str | None, content_type: str | None) -> None:
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Refused(401, "You did not provide an API key: send it as a Bearer token.", code="")
        if key == "bad":
            raise Refused(401, "Incorrect API key provided.")
        if content_type != "application/json":
            media_type = (content_type or "").partition(";")[0].strip().lower()
            if media_type != "application/json":
                raise Refused(400, f"Unsupported content type: {media_type!r}.", code="unsupported_content_type")

    def decode(self, body: bytes) -> Ask:
        try:
            request = self._decoder.decode(body)
        except msgspec.ValidationError as invalid:
            raise _refusal(str(invalid), body) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refused(400, "The body of the request could not be parsed as JSON.") from None
        for name in self._rules.refused_fields:
            if getattr(request, name) is not None:
                raise Refused(422, f"Extra inputs are not permitted: {name!r}.", param=name, code="extra_forbidden")
        _check_together(request)
        words, last_user_text = _read_messages(request.messages)
        cap = request.max_completion_tokens
        return Ask(
            model=request.model,
            stream=request.stream is True,
            wants_usage=request.stream_options is not None and request.stream_options.include_usage is True,
            max_tokens=request.max_tokens if cap is None else cap,
            choices=request.n or 1,
            prompt_tokens=words,
            last_user_text=last_user_text,
            tool=_tool_to_call(request) if request.tools else None,
        )

    def peek(self, body: bytes) -> tuple[str | None, bool | None]:
        try:
            seen = self._peeker.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None
        return (
            seen.model if isinstance(seen.model, str) else None,
            seen.stream if isinstance(seen.stream, bool) else None,
        )

    def sends_usage(self, ask: Ask) -> bool:
        return ask.wants_usage or not ask.stream or self._rules.usage_unasked

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        message = _message(answer_id, plan)
        finish = plan.finish_reason.encode()
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
        return OpenAIFrames(answer_id, created, ask, plan, usage_sent, self._rules.usage_unasked)

    def error_body(self, refused: Refused) -> bytes:
        return _error_envelope(refused)

    def models_body(self, vendor: str, models: list[str]) -> bytes:
        data = [{"id": model, "object": "model", "created": 0, "owned_by": vendor} for model in models]
        return orjson.dumps({"object": "list", "data": data})


class OpenAIFrames:
    """Server-sent events of one streamed completion. With several choices each piece is sent for every one."""

    __slots__ = ("_answer_id", "_head", "_plan", "_tail", "_usage_sent", "_usage_unasked", "_wants_usage")

    def __init__(
        self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool, usage_unasked: bool
    ) -> None:
        self._answer_id = answer_id
        self._plan = plan
        self._usage_sent = usage_sent
        self._usage_unasked = usage_unasked
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
        if self._plan.tool_name is None:
            return self._each_choice(b'{"role":"assistant","content":"","refusal":null}')
        call = self._call_header(0)
        return self._each_choice(b'{"role":"assistant","content":null,"tool_calls":[%b],"refusal":null}' % call)

    def piece(self, index: int) -> bytes:
        plan = self._plan
        text = orjson.dumps(plan.pieces[index])
        if plan.tool_name is None:
            return self._each_choice(b'{"content":%b}' % text)
        call = plan.calls_of_pieces[index]
        delta = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (call, text)
        if call and plan.calls_of_pieces[index - 1] != call:
            header = self._each_choice(b'{"tool_calls":[%b]}' % self._call_header(call))
            return header + self._each_choice(delta)
        return self._each_choice(delta)

    def closing(self) -> bytes:
        end = self._each_choice(b"{}", b'"%b"' % self._plan.finish_reason.encode())
        if self._usage_unasked and self._usage_sent:
            end = end.removesuffix(self._tail) + b'}],"usage":%b}\n\n' % _usage(self._plan)
        elif self._wants_usage and self._usage_sent:
            end += self._head + b'],"usage":%b}\n\n' % _usage(self._plan)
        return end + b"data: [DONE]\n\n"

    def error(self, refused: Refused) -> bytes:
        return b"data: %b\n\n" % _error_envelope(refused)

    def _each_choice(self, delta: bytes, finish: bytes = b"null") -> bytes:
        rest = b',"delta":' + delta + b',"logprobs":null,"finish_reason":' + finish + self._tail
        if self._plan.choices == 1:
            return self._head + b'{"index":0' + rest
        return b"".join(b'%b{"index":%d%b' % (self._head, index, rest) for index in range(self._plan.choices))

    def _call_header(self, call: int) -> bytes:
        return b'{"index":%d,"id":"%b","type":"function","function":{"name":%b,"arguments":""}}' % (
            call,
            _tool_call_id(self._answer_id, call),
            orjson.dumps(self._plan.tool_name),
        )


def _error_envelope(refused: Refused) -> bytes:
    status = refused.status
    error = {
        "message": refused.message,
        "type": _STATUS_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error"),
        "param": refused.param,
        # An empty code says that this refusal has none, whatever its status usually carries.
        "code": _STATUS_CODES.get(status) if refused.code is None else refused.code or None,
    }
    return orjson.dumps({"error": error})


def _usage(plan: Plan) -> bytes:
    return (
        b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
        b'"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},'
        b'"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0,'
        b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
    ) % (
        plan.prompt_tokens,
        plan.completion_tokens,
        plan.prompt_tokens + plan.completion_tokens,
        plan.cached_tokens,
        plan.reasoning_tokens,
    )


def _message(answer_id: str, plan: Plan) -> bytes:
    if plan.tool_name is None:
        text = orjson.dumps(plan.text())
        return b'{"role":"assistant","content":%b,"refusal":null,"annotations":[]}' % text
    name = orjson.dumps(plan.tool_name)
    calls = b",".join(
        b'{"id":"%b","type":"function","function":{"name":%b,"arguments":%b}}'
        % (_tool_call_id(answer_id, index), name, orjson.dumps(arguments))
        for index, arguments in enumerate(plan.tool_arguments())
    )
    return b'{"role":"assistant","content":null,"tool_calls":[%b],"refusal":null,"annotations":[]}' % calls


def _tool_call_id(answer_id: str, index: int) -> bytes:
    return b"call_%b_%d" % (answer_id.encode(), index)


def _check_together(request: ChatRequest) -> None:
    """Rules over more than one field."""
    if request.stream_options is not None and request.stream is not True:
        raise Refused(400, "'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        message = "'max_tokens' and 'max_completion_tokens' cannot both be set."
        raise Refused(400, message, param="max_tokens", code="invalid_parameter_combination")
    for name in ("tool_choice", "parallel_tool_calls"):
        if getattr(request, name) is not None and request.tools is None:
            raise Refused(400, f"{name!r} is only allowed when 'tools' are given.", param=name)
    if isinstance(request.tool_choice, FunctionChoice):
        wanted = request.tool_choice.function.name
        if all(tool.function.name != wanted for tool in request.tools or () if isinstance(tool, FunctionTool)):
            raise Refused(400, f"Tool choice {wanted!r} is not among 'tools'.", param="tool_choice")


def _read_messages(messages: list[Message]) -> tuple[int, str]:
    """Prompt tokens (words of all messages) and the last user message's text.

    Raises Refused where a tool result answers no call, or an assistant message says nothing.
    """
    words = 0
    last_user_text = ""
    called: set[str] = set()
    for index, message in enumerate(messages):
        content = message.content
        if isinstance(content, str):
            text = content
            words += len(content.split())
        else:
            texts = [part.text for part in content or () if isinstance(part, TextPart)]
            text = " ".join(texts)
            words += len(text.split()) + NON_TEXT_PART_TOKENS * (len(content or ()) - len(texts))
        if isinstance(message, UserMessage):
            last_user_text = text
        elif isinstance(message, AssistantMessage):
            if content is None and not (message.tool_calls or message.function_call or message.audio):
                where = f"messages[{index}].content"
                raise Refused(400, f"{where} may be null only beside 'tool_calls'.", param=where)
            called.update(call.id for call in message.tool_calls or ())
        elif isinstance(message, ToolMessage) and message.tool_call_id not in called:
            where = f"messages[{index}].tool_call_id"
            message_text = f"{where} answers no tool call of a preceding assistant message."
            raise Refused(400, message_text, param=where)
    return max(1, words), last_user_text


def _tool_to_call(request: ChatRequest) -> Tool | None:
    """None where text must be answered: tools are barred, or the last message already brings a tool's result."""
    if request.tool_choice == "none" or isinstance(request.messages[-1], ToolMessage):
        return None
    functions = [tool.function for tool in request.tools or () if isinstance(tool, FunctionTool)]
    if isinstance(request.tool_choice, FunctionChoice):
        wanted = request.tool_choice.function.name
        functions = [function for function in functions if function.name == wanted]
    return Tool(functions[0].name, functions[0].parameters) if functions else None


def _refusal(complaint: str, body: bytes) -> Refused:
    """A validation complaint in OpenAI's terms: which parameter, and what kind of wrong."""
    found = _FIELD_PATH.match(complaint)
    what, place = (found["what"], found["place"] or "$") if found else (complaint, "$")
    if place.startswith("$.messages[...]"):
        place = place.replace("[...]", f"[{_bad_message_index(body)}]", 1)
    param = place.removeprefix("$").removeprefix(".")
    field = _FIELD_NAME.search(what)
    if field is not None:
        param = f"{param}.{field['field']}" if param else field["field"]
    if "unknown field" in what:
        return Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if "required field" in what:
        message = f"Missing required parameter: '{param}'."
        return Refused(400, message, param=param, code="missing_required_parameter")
    wrong_type = ", got " in what
    message = f"Invalid {'type' if wrong_type else 'value'} for '{param}': {what.replace('`', '')}."
    return Refused(400, message, param=param or None, code="invalid_type" if wrong_type else "invalid_value")


def _bad_message_index(body: bytes) -> int:
    """msgspec names the place in a list only as `[...]`."""
    messages = msgspec.json.decode(body)["messages"]
    for index, message in enumerate(messages):
        try:
            msgspec.convert(message, Message)
        except msgspec.ValidationError:
            return index
    return 0
