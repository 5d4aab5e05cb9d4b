"""Answers of Converse, and the payloads of ConverseStream's events; both become the same canonical events."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from router_worker.canonical.answer import (
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from schemas.usage import TokenCounts

# No vendor counts so far: figures beyond would be put aside by the billing consumer, and the call go unbilled.
_Count = Annotated[int, Meta(ge=0, le=10**12)]

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
}
MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Reasons to stop that mean: what was generated is no answer."""


class _CacheDetail(msgspec.Struct, rename="camel"):
    ttl: str
    input_tokens: _Count


class Usage(msgspec.Struct, rename="camel"):
    """`inputTokens` lacks what was read from and written to the cache ("Prompt caching" in the user guide: the total
    is the sum of the three); our `input` holds it. Reasoning is part of `outputTokens`, and not told apart."""

    input_tokens: _Count
    output_tokens: _Count
    cache_read_input_tokens: _Count | None = None
    cache_write_input_tokens: _Count | None = None
    cache_details: list[_CacheDetail] | None = None

    def tokens(self) -> TokenCounts:
        cached, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        for_an_hour = sum(detail.input_tokens for detail in self.cache_details or () if detail.ttl == "1h")
        return TokenCounts(
            input=self.input_tokens + cached + written,
            cached_input=cached,
            cache_write=written,
            cache_write_1h=min(for_an_hour, written),
            output=self.output_tokens,
        )


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _ReasoningText(msgspec.Struct, rename="camel"):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _Text(msgspec.Struct):
    text: str = ""


class _Cited(msgspec.Struct):
    content: list[_Text] = []


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Cited | None = None


class _Message(msgspec.Struct):
    content: list[_Block]


class _Output(msgspec.Struct):
    message: _Message


class WholeAnswer(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str
    usage: msgspec.Raw = msgspec.Raw(b"null")
    additional_model_response_fields: Any = None


class _ToolStart(msgspec.Struct, rename="camel"):
    tool_use_id: str
    name: str


class _Start(msgspec.Struct, rename="camel"):
    tool_use: _ToolStart | None = None


class BlockStart(msgspec.Struct, rename="camel"):
    start: _Start
    content_block_index: int


class _ToolInput(msgspec.Struct):
    input: str = ""


class _ReasoningDelta(msgspec.Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolInput | None = None
    reasoning_content: _ReasoningDelta | None = None


class BlockDelta(msgspec.Struct, rename="camel"):
    delta: _Delta
    content_block_index: int


class BlockStop(msgspec.Struct, rename="camel"):
    content_block_index: int


class MessageStop(msgspec.Struct, rename="camel"):
    stop_reason: str
    additional_model_response_fields: Any = None


class Metadata(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")


def read_tokens(usage: msgspec.Raw) -> TokenCounts | None:
    """None if the figures are missing or cannot be read: an answer is not given up for that."""
    try:
        return msgspec.json.decode(usage, type=Usage).tokens()
    except msgspec.DecodeError:
        return None


class EventWriter:
    """The events of one answer, block by block. by_tool: the answer is JSON that was asked for by a forced tool, so
    the first call's arguments are its text, and whatever else stands there is no part of it.

    Raises ValueError for a piece of a call that was not started.
    """

    def __init__(self, *, by_tool: bool) -> None:
        self._by_tool = by_tool
        self._calls: dict[int, int] = {}
        self._signature: list[str] = []
        self.output_bytes = 0

    def whole(self, answer: WholeAnswer) -> list[Event]:
        events: list[Event] = [Started()]
        for index, block in enumerate(answer.output.message.content):
            if block.text is not None:
                events += self._text(block.text)
            if block.citations_content is not None:
                for cited in block.citations_content.content:
                    events += self._text(cited.text)
            if block.tool_use is not None:
                call = block.tool_use
                events += self._call(index, call.tool_use_id, call.name)
                events += self._arguments(index, bytes(call.input).decode())
            if block.reasoning_content is not None:
                thought = block.reasoning_content
                if thought.reasoning_text is not None:
                    events += self._thought(thought.reasoning_text.text, thought.reasoning_text.signature)
                events += self._encrypted(thought.redacted_content)
            events += self.block_stop()
        events.append(self.finished(answer.stop_reason, answer.additional_model_response_fields))
        return events

    def block_start(self, block: BlockStart) -> list[Event]:
        call = block.start.tool_use
        return [] if call is None else self._call(block.content_block_index, call.tool_use_id, call.name)

    def block_delta(self, block: BlockDelta) -> list[Event]:
        delta = block.delta
        events: list[Event] = []
        if delta.text is not None:
            events += self._text(delta.text)
        if delta.tool_use is not None:
            events += self._arguments(block.content_block_index, delta.tool_use.input)
        if delta.reasoning_content is not None:
            thought = delta.reasoning_content
            events += self._thought(thought.text or "", thought.signature)
            events += self._encrypted(thought.redacted_content)
        return events

    def block_stop(self) -> list[Event]:
        """A signature may come in pieces; it is whole, and the thought at its end, when the block is."""
        if not self._signature:
            return []
        signature = "".join(self._signature)
        self._signature.clear()
        return [ThinkingDelta(signature=signature, made_by="bedrock")]

    def finished(self, stop_reason: str, own_fields: object) -> Finished:
        reason = _FINISH.get(stop_reason, "stop")
        if self._by_tool and reason == "tool_calls":
            reason = "stop"
        said = own_fields.get("stop_sequence") if isinstance(own_fields, dict) else None
        return Finished(
            reason=reason, stop_sequence=said if reason == "stop_sequence" and isinstance(said, str) else None
        )

    def _text(self, text: str) -> list[Event]:
        self.output_bytes += len(text.encode())
        return [TextDelta(text=text)] if text and not self._by_tool else []

    def _call(self, block: int, call_id: str, name: str) -> list[Event]:
        index = self._calls[block] = len(self._calls)
        self.output_bytes += len(name.encode())
        return [] if self._by_tool else [ToolCallStarted(index=index, call_id=call_id, name=name)]

    def _arguments(self, block: int, arguments: str) -> list[Event]:
        if block not in self._calls:
            raise ValueError("a piece of a call that was not started")
        self.output_bytes += len(arguments.encode())
        index = self._calls[block]
        if not arguments:
            return []
        if self._by_tool:
            return [TextDelta(text=arguments)] if index == 0 else []
        return [ToolCallDelta(index=index, arguments=arguments)]

    def _thought(self, text: str, signature: str | None) -> list[Event]:
        self.output_bytes += len(text.encode())
        if signature:
            self._signature.append(signature)
        return [ThinkingDelta(text=text, made_by="bedrock")] if text else []

    def _encrypted(self, encrypted: str | None) -> list[Event]:
        if not encrypted:
            return []
        self.output_bytes += len(encrypted)
        return [ThinkingDelta(encrypted=encrypted, made_by="bedrock")]
