"""A streamed answer as the events of OpenAI's Responses API, and a whole one made of the same.

Source: OpenAI API reference, "Streaming events", as mirrored in the types of the `openai` package 3.54.

Texts and thoughts end when something else begins. Calls may take turns, so they stay open to the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
from router_worker.surfaces.openai_responses.object import (
    Ids,
    Json,
    ResponseObject,
    call_item,
    is_incomplete,
    message_item,
    reasoning_item,
    summary_part,
    text_part,
)
from router_worker.vendors.openai.responses_seal import Seal, write_seal
from router_worker.vendors.vendor import VendorCall
from schemas.usage import TokenCounts

_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class _Item:
    output_index: int
    item_id: str
    pieces: list[str] = field(default_factory=list)
    done: Json | None = None

    @property
    def place(self) -> Json:
        return {"item_id": self.item_id, "output_index": self.output_index}

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class _Message(_Item):
    def whole(self, status: str) -> Json:
        return message_item(self.item_id, [self.text], status=status)


@dataclass(slots=True)
class _Thought(_Item):
    seal: Seal = Seal("none", "unknown", "")  # noqa: RUF009 - frozen, so shared without harm

    def whole(self, status: str) -> Json:
        summary = [self.text] if self.pieces else []
        return reasoning_item(self.item_id, summary, write_seal(self.seal), status=status)


@dataclass(slots=True)
class _Call(_Item):
    call_id: str = ""
    name: str = ""

    @property
    def arguments(self) -> str:
        return self.text.strip() or "{}"

    def whole(self, status: str) -> Json:
        return call_item(self.item_id, self.call_id, self.name, self.arguments, status=status)


class ResponsesWriter:
    """Implements `surface.AnswerWriter`."""

    def __init__(self, call: VendorCall) -> None:
        self._ids = Ids(call.answer_id)
        self._response = ResponseObject(call)
        self._items: list[_Message | _Thought | _Call] = []
        self._open: _Message | _Thought | None = None
        self._calls: dict[int, _Call] = {}
        self._reason: FinishReason = "stop"
        self._sequence_number = 0
        self._out: list[bytes] = []

    def write(self, events: Sequence[Event]) -> bytes:
        self._begin()
        for event in events:
            match event:
                case TextDelta(text=text):
                    self._say(text)
                case ThinkingDelta():
                    self._think(event)
                case ToolCallStarted():
                    self._start_call(event)
                case ToolCallDelta(index=index, arguments=arguments):
                    self._argue(self._calls.get(index), arguments)
                case Finished(reason=reason):
                    self._reason = reason
                case Started():
                    pass
        return self._taken()

    def finish(self, tokens: TokenCounts | None) -> bytes:
        self._begin()
        # Of an answer that was cut off, it is the last item that is not whole.
        last = self._items[-1] if self._items else None
        for item in self._items:
            if item.done is None:
                self._close(item, "incomplete" if item is last and is_incomplete(self._reason) else "completed")
        response = self.response(tokens)
        self._emit(f"response.{response['status']}", {"response": response})
        return self._taken()

    def response(self, tokens: TokenCounts | None) -> Json:
        """The whole; only after `finish`."""
        output = [item.done for item in self._items if item.done is not None]
        return self._response.write(output, reason=self._reason, tokens=tokens)

    def _begin(self) -> None:
        if self._sequence_number == 0:
            self._emit("response.created", {"response": self._response.write([])})
            self._emit("response.in_progress", {"response": self._response.write([])})

    def _say(self, text: str) -> None:
        if not text:
            return
        item = self._open
        if not isinstance(item, _Message):
            self._end_open()
            item = self._open = _Message(*self._next("message"))
            self._added(item, message_item(item.item_id, [], status="in_progress"))
            self._emit("response.content_part.added", item.place | {"content_index": 0, "part": text_part("")})
        item.pieces.append(text)
        self._emit("response.output_text.delta", item.place | {"content_index": 0, "delta": text, "logprobs": []})

    def _think(self, delta: ThinkingDelta) -> None:
        # As `canonical.answer.collect` reads it: an open thought goes on, unless what comes is encrypted.
        item = self._open
        if not isinstance(item, _Thought) or delta.encrypted is not None:
            if not delta.text and delta.signature is None and delta.encrypted is None:
                return
            self._end_open()
            item = self._open = self._start_thought()
        if delta.text:
            if not item.pieces:
                part = {"summary_index": 0, "part": summary_part("")}
                self._emit("response.reasoning_summary_part.added", item.place | part)
            item.pieces.append(delta.text)
            piece = {"summary_index": 0, "delta": delta.text}
            self._emit("response.reasoning_summary_text.delta", item.place | piece)
        if delta.encrypted is not None:
            item.seal = Seal("encrypted", delta.made_by, delta.encrypted)
            self._end_open()
        elif delta.signature is not None:
            item.seal = Seal("signature", delta.made_by, delta.signature)
            self._end_open()

    def _start_thought(self) -> _Thought:
        item = _Thought(*self._next("reasoning"))
        self._added(item, reasoning_item(item.item_id, [], None, status="in_progress"))
        return item

    def _start_call(self, started: ToolCallStarted) -> None:
        self._end_open()
        if started.signature is not None:
            maker: MadeBy = "gemini"
            thought = self._start_thought()
            thought.seal = Seal("call", maker, started.signature)
            self._close(thought, "completed")
        item = _Call(*self._next("function_call"), call_id=started.call_id, name=started.name)
        self._calls[started.index] = item
        self._added(item, call_item(item.item_id, item.call_id, item.name, "", status="in_progress"))

    def _argue(self, item: _Call | None, piece: str) -> None:
        if item is None or not piece:
            return
        item.pieces.append(piece)
        self._emit("response.function_call_arguments.delta", item.place | {"delta": piece})

    def _end_open(self) -> None:
        item, self._open = self._open, None
        if item is not None:
            self._close(item, "completed")

    def _close(self, item: _Message | _Thought | _Call, status: str) -> None:
        if isinstance(item, _Message):
            place = item.place | {"content_index": 0}
            self._emit("response.output_text.done", place | {"text": item.text, "logprobs": []})
            self._emit("response.content_part.done", place | {"part": text_part(item.text)})
        elif isinstance(item, _Call):
            if not item.text.strip():
                self._emit("response.function_call_arguments.delta", item.place | {"delta": item.arguments})
            done = {"name": item.name, "arguments": item.arguments}
            self._emit("response.function_call_arguments.done", item.place | done)
        elif item.pieces:
            place = item.place | {"summary_index": 0}
            self._emit("response.reasoning_summary_text.done", place | {"text": item.text})
            self._emit("response.reasoning_summary_part.done", place | {"part": summary_part(item.text)})
        item.done = item.whole(status)
        self._emit("response.output_item.done", {"output_index": item.output_index, "item": item.done})

    def _next(self, kind: str) -> tuple[int, str]:
        index = len(self._items)
        return index, self._ids.item(kind, index)

    def _added(self, item: _Message | _Thought | _Call, empty: Json) -> None:
        self._items.append(item)
        self._emit("response.output_item.added", {"output_index": item.output_index, "item": empty})

    def _emit(self, kind: str, fields: Json) -> None:
        event = {"type": kind, "sequence_number": self._sequence_number} | fields
        self._sequence_number += 1
        self._out.append(b"event: %s\ndata: %s\n\n" % (kind.encode(), _ENCODER.encode(event)))

    def _taken(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out


def whole_response(answer: Answer, call: VendorCall) -> bytes:
    """The body of a plain answer: what the last event of its stream would hold."""
    writer = ResponsesWriter(call)
    writer.write(_as_events(answer))
    writer.finish(answer.tokens)
    return _ENCODER.encode(writer.response(answer.tokens))


def _as_events(answer: Answer) -> list[Event]:
    events: list[Event] = []
    calls = 0
    for part in answer.parts:
        if isinstance(part, Text):
            events.append(TextDelta(text=part.text))
        elif isinstance(part, Thinking):
            events.append(
                ThinkingDelta(text=part.text, signature=part.signature, encrypted=part.encrypted, made_by=part.made_by)
            )
        else:
            started = ToolCallStarted(index=calls, call_id=part.call_id, name=part.name, signature=part.signature)
            events += (started, ToolCallDelta(index=calls, arguments=part.arguments))
            calls += 1
    return [*events, Finished(reason=answer.finish_reason, stop_sequence=answer.stop_sequence)]
