"""A chat answer in no client's and no vendor's format, whole or as events. Wires read it, surfaces write it.

A stream is the same answer in pieces: `collect` makes the whole of them, and both ways must give the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from router_worker.canonical.request import AssistantPart, Text, Thinking, ToolCall
from schemas.usage import TokenCounts

FinishReason = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "refusal", "pause"]
"""stop: the model was done. pause: it wants to be called again with what it has said (Anthropic's pause_turn)."""

MadeBy = Literal["anthropic", "gemini", "openai", "bedrock", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Nothing was generated yet. `tokens`: what the vendor has counted so far, if it says (the input)."""

    tokens: TokenCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta:
    """A piece of the current thought. `signature` (whole) or `encrypted` (whole) end it: what follows is a new one."""

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    made_by: MadeBy = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStarted:
    """`index` counts the answer's calls from 0, in the order in which they start. `signature`: see `ToolCall`."""

    index: int
    call_id: str
    name: str
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of the JSON text of the arguments of the call `index`; calls may take turns."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Nothing more is generated; usage may still come. `stop_sequence`: which one, if the vendor says."""

    reason: FinishReason
    stop_sequence: str | None = None


Event = Started | TextDelta | ThinkingDelta | ToolCallStarted | ToolCallDelta | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`parts` in the order in which they were generated; neighbouring texts are one part. A call without arguments has
    the text "{}"."""

    parts: tuple[AssistantPart, ...]
    finish_reason: FinishReason
    stop_sequence: str | None = None
    tokens: TokenCounts | None = None
    vendor_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """One vector per input, in order; each as floats in JSON text (`[0.1,...]`), with the vendor's own digits."""

    vectors: tuple[bytes, ...]
    tokens: TokenCounts | None = None
    vendor_request_id: str | None = None


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str
    signature: str | None
    arguments: list[str] = field(default_factory=list)


def collect(events: Iterable[Event], tokens: TokenCounts | None = None) -> Answer:
    """The whole answer. Raises ValueError if the events do not finish, or a piece belongs to no call."""
    parts: list[AssistantPart | _Call] = []
    calls: dict[int, _Call] = {}
    finished: Finished | None = None
    for event in events:
        match event:
            case TextDelta(text=text):
                last = parts[-1] if parts else None
                if isinstance(last, Text):
                    parts[-1] = Text(text=last.text + text)
                elif text:
                    parts.append(Text(text=text))
            case ThinkingDelta():
                _think(parts, event)
            case ToolCallStarted():
                call = calls[event.index] = _Call(event.call_id, event.name, event.signature)
                parts.append(call)
            case ToolCallDelta():
                if event.index not in calls:
                    raise ValueError(f"a piece of the call {event.index}, which has not started")
                calls[event.index].arguments.append(event.arguments)
            case Finished():
                finished = event
            case Started():
                pass
    if finished is None:
        raise ValueError("the answer does not finish")
    return Answer(
        parts=tuple(_whole(part) for part in parts),
        finish_reason=finished.reason,
        stop_sequence=finished.stop_sequence,
        tokens=tokens,
    )


def _think(parts: list[AssistantPart | _Call], delta: ThinkingDelta) -> None:
    last = parts[-1] if parts else None
    if isinstance(last, Thinking) and last.signature is None and last.encrypted is None and delta.encrypted is None:
        parts[-1] = Thinking(text=last.text + delta.text, signature=delta.signature, made_by=delta.made_by)
    elif delta.text or delta.signature is not None or delta.encrypted is not None:
        parts.append(
            Thinking(text=delta.text, signature=delta.signature, encrypted=delta.encrypted, made_by=delta.made_by)
        )


def _whole(part: AssistantPart | _Call) -> AssistantPart:
    if not isinstance(part, _Call):
        return part
    arguments = "".join(part.arguments).strip() or "{}"
    return ToolCall(call_id=part.call_id, name=part.name, arguments=arguments, signature=part.signature)
