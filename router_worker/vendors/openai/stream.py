"""A stream of OpenAI-like chunks: what the client gets of it, its usage, and whether it ended as it should.

Chunks that fit a template (`openai.template`) are passed on unparsed; every other one is read whole.
"""

from collections.abc import Callable

import msgspec

from router_worker.vendors.json_fields import (
    NULL,
    read_fields,
    to_raw,
    with_model,
    without_half_pairs,
    write_fields,
)
from router_worker.vendors.openai.chunks import ChunkReader
from router_worker.vendors.openai.errors import classify_in_answer
from router_worker.vendors.openai.pieces import BROKEN_REASONS
from router_worker.vendors.openai.template import Template, learn
from router_worker.vendors.openai.thinking_parts import with_plain_thoughts
from router_worker.vendors.openai.usage import find_tokens
from router_worker.vendors.row import Quirks
from router_worker.vendors.vendor import VendorCall
from schemas.failures import FailureKind

# How many templates are tried, one after the other, without one being of use.
TEMPLATES_UNUSED = 8
_ABSENT = msgspec.Raw(NULL)


class _Function(msgspec.Struct):
    """A call of a function, or of a custom tool, which has `input` instead of `arguments`."""

    name: msgspec.Raw = _ABSENT
    arguments: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT


class _ToolCall(msgspec.Struct):
    function: _Function | None = None
    custom: _Function | None = None


class _Delta(msgspec.Struct):
    content: msgspec.Raw = _ABSENT
    reasoning_content: msgspec.Raw = _ABSENT
    reasoning: msgspec.Raw = _ABSENT
    refusal: msgspec.Raw = _ABSENT
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = _ABSENT


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = _ABSENT


class _Chunk(msgspec.Struct):
    id: str | None = None
    object: msgspec.Raw = _ABSENT
    model: msgspec.Raw = _ABSENT
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    x_groq: _Groq | None = None
    error: msgspec.Raw = _ABSENT

    @property
    def is_error(self) -> bool:
        return bytes(self.error) != NULL or bytes(self.object) == b'"error"'

    def usages(self) -> list[msgspec.Raw]:
        """Wherever vendors put it, the best place first."""
        places = [self.usage]
        if self.x_groq is not None:
            places.append(self.x_groq.usage)
        places += [choice.usage for choice in self.choices or ()]
        return [place for place in places if place is not _ABSENT]


_CHUNK = msgspec.json.Decoder(_Chunk)


class OpenAiStream(ChunkReader[bytes]):
    """Implements `vendor.StreamParser`."""

    def __init__(self, call: VendorCall, quirks: Quirks) -> None:
        super().__init__(call.choices)
        self._call = call
        self._quirks = quirks
        self._model = to_raw(call.model_id)
        self._template: Template | None = None
        self._templates_left = TEMPLATES_UNUSED

    def feed(self, data: bytes) -> bytes:
        return b"".join(self._take(data))

    def finish(self) -> bytes:
        return b"".join(self._close())

    def _event(self, name: bytes, payload: bytes, emit: Callable[[bytes], None]) -> None:
        template = self._template
        if template is not None and not self.ended and template.fits(payload):
            self._templates_left = TEMPLATES_UNUSED
            self.chunks += 1
            self.output_bytes += len(payload) - template.overhead_bytes
            emit(template.for_client(payload))
        else:
            super()._event(name, payload, emit)

    def _at_end(self, emit: Callable[[bytes], None]) -> None:
        emit(b"data: [DONE]\n\n")

    def _read_chunk(self, name: bytes, payload: bytes, emit: Callable[[bytes], None]) -> None:
        try:
            if self._quirks.thoughts == "thinking_parts":
                payload = with_plain_thoughts(payload, "delta")
            chunk, is_strict = _decode(payload)
            if name == b"error" or chunk.is_error:
                self.failure = classify_in_answer(payload, after_chunks=self.chunks > 0)
                return
            if any(choice.finish_reason in BROKEN_REASONS for choice in chunk.choices or ()):
                # Clients take what has any reason to finish for whole.
                tokens = find_tokens(chunk.usages(), reasoning_apart=self._quirks.reasoning_apart)
                self.tokens = tokens or self.tokens
                self._fail(FailureKind.VENDOR_BROKE_OFF)
                return
            payload.decode()  # what is passed over is looked at by nobody else, and JSON is UTF-8
            for_client = self._for_client(payload, chunk.model, is_strict=is_strict)
        except (msgspec.DecodeError, ValueError, RecursionError):
            self._fail(FailureKind.VENDOR_GARBLED)
            return
        tokens = find_tokens(chunk.usages(), reasoning_apart=self._quirks.reasoning_apart)
        if chunk.choices is None and tokens is None:
            # A vendor's own sort of event: clients of this API would take it for a chunk, and look for its choices.
            return
        self.chunks += 1
        self.vendor_request_id = self.vendor_request_id or chunk.id
        if tokens is not None:
            if chunk.choices and not any(choice.finish_reason is not None for choice in chunk.choices):
                # Some vendors count along in each chunk: should the stream break, that is less than they charge.
                self._running_tokens = tokens
            else:
                self.tokens = tokens
            if not chunk.choices and not self._call.client_wants_usage:
                return
        # A chunk over several lines has its line ends between its fields: in a string they would be no JSON.
        emit(b"data: " + for_client.replace(b"\n", b" ") + b"\n\n")
        texts: list[bytes] = []
        for choice in chunk.choices or ():
            texts += _texts(choice.delta)
            if choice.finish_reason is not None:
                self._finished_choices.add(choice.index)
                self.finish_reason = choice.finish_reason
        # Each token stands for at least one byte between the quotes.
        self.output_bytes += sum(map(len, texts)) - 2 * len(texts)
        if (
            len(texts) == 1
            and texts[0][:1] == b'"'
            and is_strict
            and tokens is None
            and self.finish_reason is None
            and b"\n" not in payload
        ):
            self._learn(payload, texts[0], chunk.model)

    def _learn(self, payload: bytes, text: bytes, model: msgspec.Raw) -> None:
        if self._templates_left:
            # Something else varies from chunk to chunk with some vendors: then no template will ever fit.
            self._templates_left -= 1
            self._template = learn(payload, text, model, self._model) or self._template

    def _for_client(self, payload: bytes, model: msgspec.Raw, *, is_strict: bool) -> bytes:
        if model is _ABSENT or bytes(model) == bytes(self._model):
            return payload
        fields = read_fields(payload) if is_strict else None
        if fields is None:
            return with_model(payload, self._call.model_id)
        fields["model"] = self._model
        return write_fields(fields)


def _decode(payload: bytes) -> tuple[_Chunk, bool]:
    """The chunk, and whether it is JSON by the strict rules. Raises DecodeError if it is not by the lax ones either."""
    try:
        return _CHUNK.decode(payload), True
    except msgspec.DecodeError:
        return _CHUNK.decode(without_half_pairs(payload)), False


def _texts(delta: _Delta | None) -> list[bytes]:
    """The generated strings of a chunk, in JSON, with their quotes; or lists of parts, as Mistral's thoughts come."""
    if delta is None:
        return []
    raws = [delta.content, delta.reasoning_content, delta.reasoning, delta.refusal]
    calls = [delta.function_call, *(call.function or call.custom for call in delta.tool_calls or ())]
    for call in calls:
        if call is not None:
            raws += [call.name, call.arguments, call.input]
    texts = [bytes(raw) for raw in raws if raw is not _ABSENT]
    return [text for text in texts if text[:1] in (b'"', b"[")]
