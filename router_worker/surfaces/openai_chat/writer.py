"""Canonical answers as OpenAI's chat completions, whole and in chunks.

What a thought's maker needs to see again stands in `reasoning_details`, beside the text in `reasoning_content`; what
Gemini needs to see again of a tool call stands in its `extra_content`. Clients of other formats' models send both back.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from router_worker.canonical.answer import (
    Answer,
    Event,
    Finished,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from router_worker.canonical.request import Text, Thinking, ToolCall
from router_worker.vendors.vendor import VendorCall
from schemas.usage import TokenCounts

Json = dict[str, Any]

# What a canonical reason is called here. This API has no word for a pause: its client just sees an answer that is over.
_REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
}
_ENCODER = msgspec.json.Encoder()


def write_completion(answer: Answer, call: VendorCall) -> bytes:
    texts = [part.text for part in answer.parts if isinstance(part, Text)]
    thoughts = [part for part in answer.parts if isinstance(part, Thinking)]
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    message: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None, "refusal": None}
    if any(thought.text for thought in thoughts):
        message["reasoning_content"] = "".join(thought.text for thought in thoughts)
    details: list[Json] = []
    for thought in thoughts:
        details += _details(thought, len(details))
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = [_call(part.call_id, part.name, part.arguments, part.signature) for part in calls]
    completion: Json = {
        **_head(call, "chat.completion"),
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": _REASONS[answer.finish_reason]}
        ],
    }
    if answer.tokens is not None:
        completion["usage"] = _usage(answer.tokens)
    return _ENCODER.encode(completion)


class OpenAiChatWriter:
    """Implements `surface.AnswerWriter`."""

    def __init__(self, call: VendorCall) -> None:
        self._call = call
        self._head = _head(call, "chat.completion.chunk")
        self._begun = False
        self._thought = ""
        self._details = 0
        self._without_arguments: dict[int, bool] = {}

    def write(self, events: Sequence[Event]) -> bytes:
        out = [] if self._begun else [self._chunk({"role": "assistant", "content": ""})]
        self._begun = True
        for event in events:
            out += self._write(event)
        return b"".join(out)

    def finish(self, tokens: TokenCounts | None) -> bytes:
        out = b"" if self._begun else self.write(())
        if self._call.client_wants_usage and tokens is not None:
            out += _event({**self._head, "choices": [], "usage": _usage(tokens)})
        return out + b"data: [DONE]\n\n"

    def _write(self, event: Event) -> list[bytes]:
        match event:
            case TextDelta(text=text) if text:
                return [self._chunk({"content": text})]
            case ThinkingDelta():
                return self._think(event)
            case ToolCallStarted(index=index, call_id=call_id, name=name, signature=signature):
                self._without_arguments[index] = True
                return [self._chunk({"tool_calls": [{"index": index, **_call(call_id, name, "", signature)}]})]
            case ToolCallDelta(index=index, arguments=arguments) if arguments:
                if arguments.strip():
                    self._without_arguments[index] = False
                return [self._arguments(index, arguments)]
            case Finished(reason=reason):
                # A client parses the arguments; nothing is no JSON.
                empty = [index for index, is_empty in self._without_arguments.items() if is_empty]
                return [*(self._arguments(index, "{}") for index in empty), self._chunk({}, _REASONS[reason])]
            case _:
                return []

    def _think(self, delta: ThinkingDelta) -> list[bytes]:
        out: list[bytes] = []
        if delta.encrypted is None:
            self._thought += delta.text
        if delta.text:
            out.append(self._chunk({"reasoning_content": delta.text}))
        if delta.signature is not None or delta.encrypted is not None:
            whole = delta.text if delta.encrypted is not None else self._thought
            details = _details(
                Thinking(text=whole, signature=delta.signature, encrypted=delta.encrypted, made_by=delta.made_by),
                self._details,
            )
            self._details += len(details)
            out.append(self._chunk({"reasoning_details": details}))
            self._thought = ""
        return out

    def _arguments(self, index: int, arguments: str) -> bytes:
        return self._chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})

    def _chunk(self, delta: Json, finish_reason: str | None = None) -> bytes:
        chunk: Json = {
            **self._head,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        }
        if self._call.client_wants_usage:
            chunk["usage"] = None
        return _event(chunk)


def _head(call: VendorCall, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{call.answer_id}",
        "object": kind,
        "created": call.now_ms // 1000,
        "model": call.model_id,
    }


def _call(call_id: str, name: str, arguments: str, signature: str | None) -> Json:
    written: Json = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    if signature is not None:
        written["extra_content"] = {"google": {"thought_signature": signature}}
    return written


def _details(thought: Thinking, index: int) -> list[Json]:
    """Empty for a thought that nobody asks to see again. `index` counts the answer's details: OpenAI's clients join the
    pieces of a list by it, and fail on a list without."""
    kept: list[Json] = []
    if thought.signature is not None:
        kept.append({"type": "reasoning.text", "text": thought.text, "signature": thought.signature})
    if thought.encrypted is not None:
        kept.append({"type": "reasoning.encrypted", "data": thought.encrypted})
    return [{"index": index + n, **detail, "format": thought.made_by} for n, detail in enumerate(kept)]


def _usage(tokens: TokenCounts) -> Json:
    read: Json = {"cached_tokens": tokens.cached_input}
    if tokens.cache_write:
        read["cache_write_tokens"] = tokens.cache_write
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def _event(payload: Json) -> bytes:
    return b"data: " + _ENCODER.encode(payload) + b"\n\n"
