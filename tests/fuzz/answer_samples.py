"""A rich valid answer of each vendor format, whole and as a stream, as trees that can be broken.

Shapes: each vendor's API reference. A stream is a list of `[name, payload]`; `stream_bytes` writes it as vendors do.
"""

from typing import Any, Literal

from schemas.envelope import Surface
from tests.fuzz.mutations import dump
from tests.router_worker.event_stream_frames import frame, string

Format = Literal["chat", "responses", "messages", "gemini", "converse", "cohere"]
Json = dict[str, Any]

_ARGUMENTS = '{"city":"K\\u00f6ln","days":2}'
_CHAT_USAGE: Json = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def _function_call(number: int, **function: Any) -> Json:
    return {"index": number, "id": f"call_{number}", "type": "function", "function": function}


def _chunk(delta: Json | None, finish: str | None = None, **fields: Any) -> Json:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": choices, **fields}


_RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m-1",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello 😀", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": _ARGUMENTS},
    ],
    "usage": {
        "input_tokens": 20,
        "output_tokens": 9,
        "total_tokens": 29,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 3},
    },
    "error": None,
    "incomplete_details": None,
}
_MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "text", "text": "Hello 😀"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}},
        {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 7,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 9,
    },
}
_GEMINI_PARTS: list[Json] = [
    {"text": "Hm", "thought": True},
    {"text": "Hello 😀"},
    {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Köln"}}, "thoughtSignature": "c2ln"},
    {"functionCall": {"name": "clock", "args": {}}},
]
_GEMINI_USAGE: Json = {
    "promptTokenCount": 20,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 6,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 29,
}


def _generated(*parts: Json, **fields: Any) -> Json:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **fields}
    return {
        "candidates": [candidate],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "m-1",
        "responseId": "r-1",
    }


_CONVERSE_USAGE: Json = {
    "inputTokens": 12,
    "outputTokens": 9,
    "totalTokens": 21,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 2,
}
_COHERE_USAGE: Json = {
    "billed_units": {"input_tokens": 12.0, "output_tokens": 9.0},
    "tokens": {"input_tokens": 20.0, "output_tokens": 9.0},
    "cached_tokens": 4.0,
}
_COHERE_CALL: Json = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": _ARGUMENTS}}

WHOLE: dict[Format, Json] = {
    "chat": {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello 😀",
                    "reasoning_content": "Hm",
                    "tool_calls": [_function_call(0, name="weather", arguments=_ARGUMENTS)],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": _CHAT_USAGE,
    },
    "responses": _RESPONSE,
    "messages": _MESSAGE,
    "gemini": _generated(*_GEMINI_PARTS, finishReason="STOP"),
    "converse": {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
                    {"text": "Hello 😀"},
                    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Köln"}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": _CONVERSE_USAGE,
        "metrics": {"latencyMs": 7},
    },
    "cohere": {
        "id": "m1",
        "finish_reason": "TOOL_CALL",
        "message": {
            "role": "assistant",
            "tool_plan": "I will look",
            "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hello 😀"}],
            "tool_calls": [_COHERE_CALL],
        },
        "usage": _COHERE_USAGE,
    },
}
EMBEDDINGS: dict[Format, Json] = {
    "chat": {
        "object": "list",
        "model": "m-1",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1e-3]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    },
    "gemini": {"embeddings": [{"values": [0.5, -1e-3]}], "usageMetadata": {"promptTokenCount": 3}},
    "cohere": {
        "id": "e1",
        "embeddings": {"float": [[0.5, -1e-3]]},
        "texts": ["hello"],
        "meta": {"billed_units": {"input_tokens": 3.0}},
    },
}
COUNTED: Json = {"input_tokens": 14}


def _messages_block(index: int, opening: Json, *deltas: Json) -> list[list[Any]]:
    return [
        ["content_block_start", {"type": "content_block_start", "index": index, "content_block": opening}],
        *(["content_block_delta", {"type": "content_block_delta", "index": index, "delta": each}] for each in deltas),
        ["content_block_stop", {"type": "content_block_stop", "index": index}],
    ]


def _responses_events(*payloads: Json) -> list[list[Any]]:
    return [[each["type"], each | {"sequence_number": number}] for number, each in enumerate(payloads)]


def _converse_block(index: int, start: Json | None, *deltas: Json) -> list[list[Any]]:
    opening = [] if start is None else [["contentBlockStart", {"start": start, "contentBlockIndex": index}]]
    pieces = [["contentBlockDelta", {"delta": each, "contentBlockIndex": index}] for each in deltas]
    return [*opening, *pieces, ["contentBlockStop", {"contentBlockIndex": index}]]


def _cohere_events(*payloads: Json) -> list[list[Any]]:
    return [[each["type"], each] for each in payloads]


def _cohere_delta(kind: str, index: int, **message: Any) -> Json:
    return {"type": kind, "index": index, "delta": {"message": message}}


_STARTED = _RESPONSE | {"status": "in_progress", "output": [], "usage": None}
STREAMS: dict[Format, list[Any]] = {
    "chat": [
        ["", _chunk({"role": "assistant", "content": ""})],
        ["", _chunk({"reasoning_content": "Hm"})],
        ["", _chunk({"content": "Hel"})],
        ["", _chunk({"content": "lo 😀"})],
        ["", _chunk({"tool_calls": [_function_call(0, name="weather", arguments="")]})],
        ["", _chunk({"tool_calls": [{"index": 0, "function": {"arguments": _ARGUMENTS}}]})],
        ["", _chunk({"tool_calls": [_function_call(1, name="clock", arguments="{}")]})],
        ["", _chunk({}, finish="tool_calls")],
        ["", _chunk(None, usage=_CHAT_USAGE)],
        ["", "[DONE]"],
    ],
    "responses": _responses_events(
        {"type": "response.created", "response": _STARTED},
        {"type": "response.in_progress", "response": _STARTED},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "msg_1"}},
        {
            "type": "response.output_text.delta",
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "Hel",
        },
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1, "delta": _ARGUMENTS},
        {"type": "response.completed", "response": _RESPONSE},
    ),
    "messages": [
        ["message_start", {"type": "message_start", "message": _MESSAGE | {"content": [], "stop_reason": None}}],
        ["ping", {"type": "ping"}],
        *_messages_block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Hm"},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *_messages_block(1, {"type": "redacted_thinking", "data": "ZW5j"}),
        *_messages_block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello 😀"}),
        *_messages_block(
            3,
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"ci'},
            {"type": "input_json_delta", "partial_json": 'ty":"Köln"}'},
        ),
        *_messages_block(4, {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}}),
        [
            "message_delta",
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                "usage": {"output_tokens": 9},
            },
        ],
        ["message_stop", {"type": "message_stop"}],
    ],
    "gemini": [
        ["", _generated(_GEMINI_PARTS[0])],
        ["", _generated({"text": "Hel"})],
        ["", _generated({"text": "lo 😀"})],
        ["", _generated(*_GEMINI_PARTS[2:])],
        ["", _generated({"text": ""}, finishReason="STOP")],
    ],
    "converse": [
        ["messageStart", {"role": "assistant"}],
        *_converse_block(0, None, {"reasoningContent": {"text": "Hm"}}, {"reasoningContent": {"signature": "c2ln"}}),
        *_converse_block(1, None, {"text": "Hel"}, {"text": "lo 😀"}),
        *_converse_block(
            2,
            {"toolUse": {"toolUseId": "t1", "name": "weather"}},
            {"toolUse": {"input": '{"ci'}},
            {"toolUse": {"input": 'ty":"Köln"}'}},
        ),
        ["messageStop", {"stopReason": "tool_use"}],
        ["metadata", {"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 7}}],
    ],
    "cohere": _cohere_events(
        {"type": "message-start", "id": "m1", "delta": {"message": {"role": "assistant", "content": []}}},
        _cohere_delta("content-start", 0, content={"type": "thinking", "thinking": ""}),
        _cohere_delta("content-delta", 0, content={"thinking": "Hm"}),
        {"type": "content-end", "index": 0},
        _cohere_delta("content-start", 1, content={"type": "text", "text": ""}),
        _cohere_delta("content-delta", 1, content={"text": "Hello 😀"}),
        {"type": "content-end", "index": 1},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look"}}},
        _cohere_delta(
            "tool-call-start", 0, tool_calls=_COHERE_CALL | {"function": {"name": "weather", "arguments": ""}}
        ),
        _cohere_delta("tool-call-delta", 0, tool_calls={"function": {"arguments": _ARGUMENTS}}),
        {"type": "tool-call-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": _COHERE_USAGE}},
    ),
}


def format_of(wire: str, surface: Surface, *, responses: bool) -> Format:
    """What the vendor answers in. `responses`: it has that API of OpenAI's too."""
    if wire == "openai":
        return "responses" if surface == "openai.responses" and responses else "chat"
    formats: dict[str, Format] = {
        "anthropic": "messages",
        "gemini": "gemini",
        "bedrock": "converse",
        "cohere": "cohere",
    }
    return formats[wire.removesuffix("_vertex")]


def whole_tree(answers_in: Format, surface: Surface) -> Json:
    if surface == "openai.embeddings":
        return EMBEDDINGS[answers_in]
    return COUNTED if surface == "anthropic.count_tokens" else WHOLE[answers_in]


def stream_bytes(answers_in: Format, events: Any) -> bytes:
    """`events` may be broken in any way."""
    return b"".join(_event(answers_in, each) for each in events) if isinstance(events, list) else dump(events)


def _event(answers_in: Format, event: Any) -> bytes:
    name, payload = event if isinstance(event, list) and len(event) == 2 else ("", event)
    label = name.encode("utf-8", "replace") if isinstance(name, str) else dump(name)
    data = b"[DONE]" if payload == "[DONE]" else dump(payload)
    if answers_in == "converse":
        text = label.decode("utf-8", "replace")[:200]
        headers = {":event-type": text, ":content-type": "application/json", ":message-type": "event"}
        return frame({key: string(value) for key, value in headers.items()}, data)
    end = b"\r\n" if answers_in == "gemini" else b"\n"
    return (b"event: " + label + end if label else b"") + b"data: " + data + end + end
