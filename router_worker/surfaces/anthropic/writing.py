"""Canonical answers as Anthropic's messages, whole or as events. Format: Claude API reference, "Messages", "Streaming".

A whole answer and the same one streamed give a client of Anthropic's SDK the same message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from router_worker.canonical.answer import (
    Answer,
    Event,
    Finished,
    FinishReason,
    MadeBy,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from router_worker.canonical.request import Text, Thinking
from router_worker.vendors.anthropic.marks import marked
from router_worker.vendors.json_fields import read_fields
from router_worker.vendors.vendor import VendorCall
from schemas.usage import TokenCounts

_STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}

Json = dict[str, Any]


def message_body(answer: Answer, call: VendorCall) -> bytes:
    content: list[Json] = []
    for part in answer.parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Thinking):
            content += _thoughts(part)
        else:
            content.append(_tool_use(part.call_id, part.name, _object(part.arguments)))
    message = _message(call, content, answer.tokens or TokenCounts())
    message["stop_reason"] = _STOP_REASONS[answer.finish_reason]
    message["stop_sequence"] = answer.stop_sequence
    return msgspec.json.encode(message)


@dataclass(slots=True)
class _OpenBlock:
    """A block of the answer, and what of it is not written yet. made_by: of a thought that has no signature (yet)."""

    start: Json
    kind: str
    waiting: list[Json] = field(default_factory=list)
    arguments: str = ""
    is_over: bool = False
    made_by: MadeBy | None = None


class MessageWriter:
    """Implements `surface.AnswerWriter`.

    Clients of this API expect one block after the other (Anthropic's TypeScript SDK looks at the last one only), so
    what belongs to a later block waits until the one before it is whole: tool calls that take turns come in order.
    """

    def __init__(self, call: VendorCall) -> None:
        self._call = call
        self._started: TokenCounts | None = None
        self._out: list[bytes] = []
        self._blocks: list[_OpenBlock] = []
        self._calls: dict[int, _OpenBlock] = {}
        self._index = 0
        self._is_open = False
        self._has_begun = False
        self._finished: Finished | None = None

    def write(self, events: Sequence[Event]) -> bytes:
        for event in events:
            match event:
                case Started():
                    self._started = event.tokens
                case TextDelta(text=text):
                    self._say(text)
                case ThinkingDelta():
                    self._think(event)
                case ToolCallStarted():
                    block = _OpenBlock(_tool_use(event.call_id, event.name, {}), "tool_use")
                    self._calls[event.index] = block
                    self._blocks.append(block)
                case ToolCallDelta(index=index, arguments=arguments) if index in self._calls:
                    block = self._calls[index]
                    block.arguments += arguments
                    block.waiting.append({"type": "input_json_delta", "partial_json": arguments})
                case Finished():
                    self._finished = event
        self._begin()
        self._advance()
        return self._taken()

    def finish(self, tokens: TokenCounts | None) -> bytes:
        self._begin()
        for block in self._blocks:
            block.is_over = True
        self._advance()
        if self._blocks:
            self._close()
        finished = self._finished or Finished(reason="stop")
        delta = {"stop_reason": _STOP_REASONS[finished.reason], "stop_sequence": finished.stop_sequence}
        counted = tokens or self._started or TokenCounts()
        self._emit("message_delta", {"delta": delta, "usage": _usage(counted)})
        self._emit("message_stop", {})
        return self._taken()

    def _think(self, event: ThinkingDelta) -> None:
        if event.encrypted is not None:
            if event.text:
                self._blocks.append(_thought(event.text, event.made_by))
            start = {"type": "redacted_thinking", "data": marked(event.encrypted, event.made_by)}
            self._blocks.append(_OpenBlock(start, "redacted", is_over=True))
            return
        if not event.text and event.signature is None:
            return
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.kind != "thinking" or last.is_over:
            last = _thought("", event.made_by)
            last.is_over = False
            self._blocks.append(last)
        last.made_by = event.made_by
        if event.text:
            last.waiting.append({"type": "thinking_delta", "thinking": event.text})
        if event.signature is not None:
            last.waiting.append(_signature_delta(event.signature, event.made_by))
            last.is_over, last.made_by = True, None

    def _say(self, text: str) -> None:
        if not text:
            return
        if not self._blocks or self._blocks[-1].kind != "text":
            self._blocks.append(_OpenBlock({"type": "text", "text": ""}, "text"))
        self._blocks[-1].waiting.append({"type": "text_delta", "text": text})

    def _begin(self) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        message = _message(self._call, [], self._started or TokenCounts())
        if self._started is None:
            # The last event's figures have no place for it, so noughts here would stand beside them to the end.
            message["usage"]["cache_creation"] = None
        self._emit("message_start", {"message": message})

    def _advance(self) -> None:
        """Writes what can be written: all of the first block, and of the next ones as soon as it is whole."""
        while self._blocks:
            block = self._blocks[0]
            if not self._is_open:
                self._is_open = True
                self._emit("content_block_start", {"index": self._index, "content_block": block.start})
            for piece in block.waiting:
                self._emit("content_block_delta", {"index": self._index, "delta": piece})
            block.waiting.clear()
            if len(self._blocks) == 1 or not _is_whole(block):
                return
            self._close()

    def _close(self) -> None:
        block = self._blocks.pop(0)
        if block.made_by is not None:
            delta = _signature_delta(None, block.made_by)
            self._emit("content_block_delta", {"index": self._index, "delta": delta})
        self._emit("content_block_stop", {"index": self._index})
        self._index += 1
        self._is_open = False

    def _emit(self, name: str, fields: Json) -> None:
        data = msgspec.json.encode({"type": name, **fields})
        self._out.append(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n")

    def _taken(self) -> bytes:
        output = b"".join(self._out)
        self._out.clear()
        return output


def _is_whole(block: _OpenBlock) -> bool:
    return (
        block.kind != "tool_use" or block.is_over or read_fields(block.arguments.encode(errors="replace")) is not None
    )


def _thoughts(part: Thinking) -> list[Json]:
    """Encrypted thoughts may come with a summary in words, for which this API has a block of its own."""
    blocks: list[Json] = []
    if part.encrypted is None or part.text:
        blocks.append({"type": "thinking", "thinking": part.text, "signature": marked(part.signature, part.made_by)})
    if part.encrypted is not None:
        blocks.append({"type": "redacted_thinking", "data": marked(part.encrypted, part.made_by)})
    return blocks


def _thought(text: str, made_by: MadeBy) -> _OpenBlock:
    block = _OpenBlock({"type": "thinking", "thinking": "", "signature": ""}, "thinking", is_over=True, made_by=made_by)
    if text:
        block.waiting.append({"type": "thinking_delta", "thinking": text})
    return block


def _signature_delta(signature: str | None, made_by: MadeBy) -> Json:
    return {"type": "signature_delta", "signature": marked(signature, made_by)}


def _tool_use(call_id: str, name: str, arguments: object) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _object(arguments: str) -> object:
    """The client's SDK wants an object. What a model wrote instead is kept under a name that says so."""
    fields = read_fields(arguments.encode(errors="replace"))
    return {"_not_an_object": arguments} if fields is None else fields


def _message(call: VendorCall, content: list[Json], tokens: TokenCounts) -> Json:
    creation = {
        "ephemeral_5m_input_tokens": max(0, tokens.cache_write - tokens.cache_write_1h),
        "ephemeral_1h_input_tokens": tokens.cache_write_1h,
    }
    return {
        "id": f"msg_{call.answer_id}",
        "type": "message",
        "role": "assistant",
        "model": call.model_id,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**_usage(tokens), "cache_creation": creation},
    }


def _usage(tokens: TokenCounts) -> Json:
    """`input_tokens` without what was read from and written to a cache, as Anthropic counts."""
    usage: Json = {
        "input_tokens": max(0, tokens.input - tokens.cached_input - tokens.cache_write),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cached_input,
        "output_tokens": tokens.output,
    }
    if tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage
