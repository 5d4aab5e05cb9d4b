"""The Gemini API on the wire: requests in, responses, server-sent chunks and errors out.

Source: Google's API reference (generateContent, streamGenerateContent, countTokens, embedContent). The model and
whether the answer is streamed stand in the path. Fields may be in camel or snake case, as in all of Google's JSON.
`candidatesTokenCount` does not contain `thoughtsTokenCount`; the figures of a chunk are those of the answer so far. A
function call comes whole, and, as with Gemini 2.5, without an id; Gemini 3 (`gemini-3...`) gives ids and wants its
thought signatures back. There is no Retry-After header: the delay stands in the error's `RetryInfo`.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import orjson

from deploy.local.vendors import gemini_request as types
from deploy.local.vendors.ask import Ask
from deploy.local.vendors.complaints import BodyReader, Complaint, NotJson
from deploy.local.vendors.embedding import embedding_vector
from deploy.local.vendors.gemini_names import in_camel_case
from deploy.local.vendors.gemini_reading import DEFAULT_DIMENSIONS, count_ask, embed_ask, generate_ask
from deploy.local.vendors.generation import Block, Plan
from deploy.local.vendors.signatures import sign
from deploy.local.vendors.wire import Endpoint, Incoming, Refused, Wire

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RPC = "type.googleapis.com/google.rpc."
_KEY_INVALID = "API_KEY_INVALID"

_Request = TypeVar("_Request")


def endpoints() -> tuple[Endpoint, ...]:
    def generate(stream: bool) -> "GeminiWire[types.GenerateRequest]":
        return GeminiWire(types.GenerateRequest, lambda model, request: generate_ask(model, stream, request), stream)

    count = GeminiWire(types.CountRequest, count_ask)
    embed = GeminiWire(types.EmbedRequest, lambda model, request: embed_ask(model, [request], ""))
    batch = GeminiWire(
        types.BatchEmbedRequest, lambda model, request: embed_ask(model, request.requests, "requests[{}]."), batch=True
    )
    methods: dict[str, Wire] = {
        "generateContent": generate(stream=False),
        "streamGenerateContent": generate(stream=True),
        "countTokens": count,
        "embedContent": embed,
        "batchEmbedContents": batch,
    }
    return (
        *(
            Endpoint("POST", f"/{version}/models/{{model}}:{method}", wire)
            for version in ("v1beta", "v1")
            for method, wire in methods.items()
        ),
        Endpoint("GET", "/v1beta/models", count, lists_models=True),
        Endpoint("GET", "/v1/models", count, only_with_header="x-goog-api-key", lists_models=True),
    )


class GeminiWire(Wire, Generic[_Request]):
    """`ask_of` turns the path's model and a request into an Ask."""

    garbage_body = b'{"candidates":[{"content":{"par'
    garbage_events = b'data: {"candidates":[\r\n\r\ndata: <html>Bad Gateway</html>\r\n\r\n\x00\xff nonsense\r\n\r\n'
    sends_retry_after_header = False

    def __init__(
        self,
        request_type: type[_Request],
        ask_of: Callable[[str, _Request], Ask],
        stream: bool = False,
        batch: bool = False,
    ) -> None:
        self._reader = BodyReader(request_type)
        self._ask_of = ask_of
        self._stream = stream
        self._batch = batch

    def authorize(self, incoming: Incoming) -> None:
        key = incoming.headers.get("x-goog-api-key", "").strip()
        if not key:
            message = "Method doesn't allow unregistered callers. Please use API Key to call this API."
            raise Refused(403, message)
        if key == "bad":
            raise self.wrong_key()
        media_type = incoming.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if incoming.method == "POST" and media_type != "application/json":
            raise Refused(400, f"{media_type!r} is not application/json", param="Content-Type")

    def decode(self, incoming: Incoming) -> Ask:
        alt = incoming.query.get("alt")
        # Without alt=sse Google streams one JSON array, which is not played.
        if alt != ("sse" if self._stream else None) and not (alt == "json" and not self._stream):
            raise Refused(400, "streamGenerateContent wants alt=sse here, all else no alt", param="alt")
        try:
            request = self._read(incoming.body)
        except Complaint as complaint:
            raise _refusal(complaint) from None
        except NotJson:
            raise Refused(400, "Invalid JSON payload received.") from None
        return self._ask_of(incoming.path_params["model"], request)

    def _read(self, body: bytes) -> _Request:
        try:
            return self._reader.read(body)
        except Complaint as complaint:
            if complaint.wrong != "unknown" or "_" not in complaint.field:
                raise
            try:
                renamed = in_camel_case(body)
            except ValueError:
                raise NotJson from None
            return self._reader.read(renamed)

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        return incoming.path_params.get("model"), self._stream

    def sends_usage(self, ask: Ask) -> bool:
        return ask.task != "count"

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        if ask.task == "count":
            details = [{"modality": "TEXT", "tokenCount": plan.prompt_tokens}]
            return orjson.dumps({"totalTokens": plan.prompt_tokens, "promptTokensDetails": details})
        if ask.task == "embed":
            dimensions = ask.dimensions or DEFAULT_DIMENSIONS
            vectors = [{"values": embedding_vector(text, dimensions)} for text in ask.texts]
            answer: dict[str, Any] = {"embeddings": vectors} if self._batch else {"embedding": vectors[0]}
            if usage_sent:
                answer["usageMetadata"] = {"promptTokenCount": plan.prompt_tokens}
            return orjson.dumps(answer)
        parts = [part for block in plan.blocks for part in _parts(answer_id, ask, plan, block)]
        if _is_signed(ask) and plan.text():
            parts[-1]["thoughtSignature"] = sign(plan.thinking())
        return orjson.dumps(_response(answer_id, ask, plan, parts, len(plan.pieces), _finish_reason(plan), usage_sent))

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> "GeminiFrames":
        return GeminiFrames(answer_id, ask, plan, usage_sent)

    def error_body(self, refused: Refused) -> bytes:
        return orjson.dumps(_error(refused))

    def wrong_key(self) -> Refused:
        return Refused(400, "API key not valid. Please pass a valid API key.", code=_KEY_INVALID)

    def too_long(self, prompt_tokens: int) -> Refused:
        message = f"The input token count ({prompt_tokens}) exceeds the maximum number of tokens allowed (1)."
        return Refused(400, message)

    def models_body(self, vendor: str, models: list[str]) -> bytes:
        methods = ["generateContent", "countTokens", "embedContent"]
        return orjson.dumps(
            {
                "models": [
                    {
                        "name": f"models/{model}",
                        "version": "001",
                        "displayName": model,
                        "inputTokenLimit": 1_000_000,
                        "outputTokenLimit": 65_536,
                        "supportedGenerationMethods": methods,
                    }
                    for model in models
                ]
            }
        )


class GeminiFrames:
    """One chunk for each piece; function calls come whole, with the last of their pieces."""

    __slots__ = ("_answer_id", "_ask", "_plan", "_usage_sent")

    def __init__(self, answer_id: str, ask: Ask, plan: Plan, usage_sent: bool) -> None:
        self._answer_id = answer_id
        self._ask = ask
        self._plan = plan
        self._usage_sent = usage_sent

    def opening(self) -> bytes:
        return b""

    def piece(self, index: int) -> bytes:
        plan = self._plan
        block = plan.block_at(index)
        if block.kind != "tool":
            return self._chunk([_text_part(block, plan.pieces[index])], index + 1, None)
        if not plan.ends_block(index):
            return b""
        parts = _parts(self._answer_id, self._ask, plan, block)
        return self._chunk(parts, index + 1, None) if parts else b""

    def closing(self) -> bytes:
        plan = self._plan
        part: dict[str, Any] = {"text": ""}
        if _is_signed(self._ask) and plan.text():
            part["thoughtSignature"] = sign(plan.thinking())
        return self._chunk([part], len(plan.pieces), _finish_reason(plan))

    def error(self, refused: Refused) -> bytes:
        return _event(_error(refused))

    def _chunk(self, parts: list[dict[str, Any]], pieces_done: int, finish: str | None) -> bytes:
        return _event(_response(self._answer_id, self._ask, self._plan, parts, pieces_done, finish, self._usage_sent))


def _event(data: dict[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % orjson.dumps(data)


def _response(
    answer_id: str,
    ask: Ask,
    plan: Plan,
    parts: list[dict[str, Any]],
    pieces_done: int,
    finish: str | None,
    usage_sent: bool,
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [{**candidate, "index": index} for index in range(plan.choices)],
        **({"usageMetadata": _usage(plan, pieces_done)} if usage_sent else {}),
        "modelVersion": ask.model,
        "responseId": answer_id,
    }


def _usage(plan: Plan, pieces_done: int) -> dict[str, Any]:
    completion = plan.tokens_after(pieces_done)
    thoughts = min(plan.reasoning_tokens, completion)
    figures = {
        "promptTokenCount": plan.prompt_tokens,
        "cachedContentTokenCount": plan.cached_tokens,
        "candidatesTokenCount": completion - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": plan.prompt_tokens + completion,
    }
    # As at Google, a figure of zero is left out.
    return {name: tokens for name, tokens in figures.items() if tokens}


def _finish_reason(plan: Plan) -> str:
    return "MAX_TOKENS" if plan.finish_reason == "length" else "STOP"


def _is_signed(ask: Ask) -> bool:
    return ask.reasoning != "none" or ask.model.startswith("gemini-3")


def _text_part(block: Block, text: str) -> dict[str, Any]:
    return {"text": text, "thought": True} if block.kind == "thinking" else {"text": text}


def _parts(answer_id: str, ask: Ask, plan: Plan, block: Block) -> list[dict[str, Any]]:
    """No part for a function call that the token cap cut in its middle."""
    text = plan.text_of(block)
    if block.kind != "tool":
        return [_text_part(block, text)]
    try:
        call: dict[str, Any] = {"name": block.tool_name, "args": orjson.loads(text)}
    except orjson.JSONDecodeError:
        return []
    if ask.model.startswith("gemini-3"):
        call["id"] = f"{answer_id}_{block.call}"
    part: dict[str, Any] = {"functionCall": call}
    if _is_signed(ask) and block.call == 0:
        # Of parallel calls only the first is signed.
        part["thoughtSignature"] = sign(plan.thinking())
    return [part]


def _refusal(complaint: Complaint) -> Refused:
    """In Google's words."""
    field = complaint.field
    if complaint.wrong == "unknown":
        parent, _, name = field.rpartition(".")
        at = f" at '{parent}'" if parent else ""
        message = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
        return Refused(400, message, param=field, code="")
    return Refused(400, complaint.what, param=field or None)


def _error(refused: Refused) -> dict[str, Any]:
    status = refused.status
    name = _STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    message = refused.message
    details: list[dict[str, Any]] = []
    if refused.param is not None:
        if refused.code is None:
            message = f"Invalid value at '{refused.param}': {message}"
        violation = {"field": refused.param, "description": refused.message}
        details.append({"@type": f"{_RPC}BadRequest", "fieldViolations": [violation]})
    if refused.code == _KEY_INVALID:
        details.append({"@type": f"{_RPC}ErrorInfo", "reason": _KEY_INVALID, "domain": "googleapis.com"})
    if refused.retry_after_s is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{refused.retry_after_s}s"})
    return {"error": {"code": status, "message": message, "status": name, **({"details": details} if details else {})}}
