"""Gemini's answers in canonical form, whole and as events. Format: Gemini API reference, "GenerateContentResponse".

A signature beside a text is left out: Gemini does not ask for it back, and no other format has a place for it.
"""

from collections.abc import Iterator

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
from router_worker.vendors.gemini.chunks import Chunk, ChunkReader, Part
from router_worker.vendors.gemini.usage import read_tokens
from router_worker.vendors.json_fields import NULL
from router_worker.vendors.stream_facts import FactsOf
from schemas.failures import FailureKind
from schemas.usage import TokenCounts

_FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
}
"""Any other stopped what the model would have said: the safety family, RECITATION, LANGUAGE, OTHER, and what Google
will yet invent. A client must not take such an answer for whole."""

UNREADABLE = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""The model wrote what Google itself could not read. Another route may do better."""


class UnreadableAnswer(Exception):
    """The answer holds what has no canonical form."""


class EventWriter:
    """Keeps count of the calls of one answer; ids are made where Google gave none."""

    def __init__(self, answer_id: str) -> None:
        self._answer_id = answer_id
        self._calls = 0
        self._started = False

    def events(self, chunk: Chunk) -> Iterator[Event]:
        """Raises UnreadableAnswer."""
        if not self._started:
            self._started = True
            tokens = read_tokens(chunk.usage_metadata)
            # Output is still being counted; what came in is known.
            yield Started(
                tokens=None if tokens is None else TokenCounts(input=tokens.input, cached_input=tokens.cached_input)
            )
        for candidate in chunk.candidates or ():
            if not candidate.index:
                for part in candidate.parts:
                    yield from self._part(part)

    def finished(self, reason: str | None, *, blocked: bool) -> Finished:
        if blocked:
            return Finished(reason="content_filter")
        found = _FINISH_REASONS.get(reason or "", "content_filter")
        return Finished(reason="tool_calls" if found == "stop" and self._calls else found)

    def _part(self, part: Part) -> Iterator[Event]:
        if bytes(part.inline_data) != NULL:
            raise UnreadableAnswer("media in the answer")
        if part.function_call is not None:
            call, index = part.function_call, self._calls
            self._calls += 1
            call_id = call.id or f"call_{self._answer_id}_{index}"
            yield ToolCallStarted(index=index, call_id=call_id, name=call.name, signature=part.thought_signature)
            arguments = bytes(call.args)
            yield ToolCallDelta(index=index, arguments="{}" if arguments == NULL else arguments.decode())
        elif part.thought:
            if part.text or part.thought_signature:
                yield ThinkingDelta(text=part.text or "", signature=part.thought_signature, made_by="gemini")
        elif part.text:
            yield TextDelta(text=part.text)


class GeminiEvents(FactsOf):
    """Implements `wire.EventReader`."""

    def __init__(self, answer_id: str) -> None:
        self._reader = ChunkReader()
        super().__init__(self._reader)
        self._writer = EventWriter(answer_id)
        self._blocked = False

    def feed(self, data: bytes) -> list[Event]:
        return self._events([chunk for _, chunk in self._reader.feed(data)])

    def finish(self) -> list[Event]:
        events = self._events([chunk for _, chunk in self._reader.finish()])
        if self._reader.complete:
            if self._reader.finish_reason in UNREADABLE:
                self._reader.fail(FailureKind.VENDOR_GARBLED)
            else:
                # Only now: older models tell a finish reason with every chunk.
                events.append(self._writer.finished(self._reader.finish_reason, blocked=self._blocked))
        return events

    def _events(self, chunks: list[Chunk]) -> list[Event]:
        events: list[Event] = []
        try:
            for chunk in chunks:
                self._blocked = self._blocked or chunk.block_reason is not None
                events += self._writer.events(chunk)
        except UnreadableAnswer:
            self._reader.fail(FailureKind.VENDOR_GARBLED)
        return events
