"""The conversation of a generateContent request in canonical form. Format: Gemini API reference, "Content", "Part"."""

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from router_worker.canonical.request import (
    AssistantMessage,
    AssistantPart,
    Document,
    Image,
    Inline,
    Message,
    Text,
    ToolCall,
    ToolResult,
    Url,
    UserMessage,
    UserPart,
)
from router_worker.surfaces.gemini.fields import (
    Blob,
    Content,
    FileData,
    FunctionCall,
    FunctionResponse,
    Part,
    ResponsePart,
)
from router_worker.vendors.gemini.signature import unwrapped
from router_worker.vendors.json_fields import NULL, read_fields
from schemas.failures import Failure, FailureKind

_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_GOOGLES_FILES = "https://generativelanguage.googleapis.com/"


class Refused(Exception):
    """Carries the Failure from wherever it was found up to the reader of the whole."""

    def __init__(self, param: str, why: str, *, code: str | None = None) -> None:
        super().__init__(param)
        self.failure = Failure(kind=FailureKind.INVALID_REQUEST, message=f"{param}: {why}.", param=param, code=code)


def unsupported(param: str, why: str) -> Refused:
    return Refused(param, why, code="unsupported_by_vendor")


@dataclass(slots=True)
class _OpenCall:
    call_id: str
    name: str
    is_answered: bool = False


class ContentsReader:
    """Reads the contents in order, because an answer to a call is matched with the calls before it: by its id, or,
    where clients give none, by the function's name, the oldest unanswered call first."""

    def __init__(self, contents: list[Content]) -> None:
        self._contents = contents
        self._given_ids = {
            part.function_call.id
            for content in contents
            for part in content.parts or ()
            if part.function_call is not None and part.function_call.id
        }
        self._made_ids = 0
        # Two ways to find a call, oldest first; without them a body of many calls would take as many steps for each.
        self._open_by_id: dict[str, deque[_OpenCall]] = {}
        self._open_by_name: dict[str, deque[_OpenCall]] = {}
        self.dropped: dict[str, None] = {}

    def read(self) -> tuple[Message, ...]:
        """Raises Refused."""
        return tuple(
            message for number, content in enumerate(self._contents) for message in self._message(number, content)
        )

    def _message(self, number: int, content: Content) -> Iterator[Message]:
        where = f"contents[{number}]"
        if not content.parts:
            raise Refused(f"{where}.parts", "it is required")
        for part in content.parts:
            self._note_hints(part)
        if content.role in (None, "", "user", "function"):
            user = [found for place, part in _places(where, content) for found in self._user_parts(place, part)]
            results: list[UserPart] = [part for part in user if isinstance(part, ToolResult)]
            others = [part for part in user if not isinstance(part, ToolResult)]
            if user:
                yield UserMessage(parts=(*results, *others))
        elif content.role == "model":
            said = [found for place, part in _places(where, content) for found in self._model_parts(place, part)]
            if said:
                yield AssistantMessage(parts=tuple(said))
        else:
            raise Refused(f"{where}.role", "it must be 'user' or 'model'")

    def _note_hints(self, part: Part) -> None:
        responses = part.function_response.parts if part.function_response is not None else None
        if bytes(part.media_resolution) != NULL or any(
            bytes(inner.media_resolution) != NULL for inner in responses or ()
        ):
            self.dropped["mediaResolution"] = None
        if bytes(part.part_metadata) != NULL:
            self.dropped["partMetadata"] = None

    def _user_parts(self, where: str, part: Part) -> Iterator[UserPart]:
        if part.function_call is not None:
            raise Refused(f"{where}.functionCall", "only a content with the role 'model' can hold it")
        if part.function_response is not None:
            yield self._result(f"{where}.functionResponse", part.function_response)
        elif (media := _media(where, part)) is not None:
            yield media
        elif part.text is None:
            raise Refused(where, "it holds nothing")
        elif part.text:
            yield Text(text=part.text)

    def _model_parts(self, where: str, part: Part) -> Iterator[AssistantPart]:
        if part.function_response is not None:
            raise Refused(f"{where}.functionResponse", "only a content with the role 'user' can hold it")
        if part.inline_data is not None or part.file_data is not None:
            field = "inlineData" if part.inline_data is not None else "fileData"
            raise unsupported(f"{where}.{field}", "the vendors of this model take no media in a model's turn")
        if part.function_call is not None:
            yield self._call(f"{where}.functionCall", part.function_call, part.thought_signature)
        elif part.thought:
            yield unwrapped(part.text or "", part.thought_signature)
        elif part.text:
            # A signature beside a text is Google's, and only Google could use it.
            yield Text(text=part.text)
        elif part.text is None and part.thought_signature is None:
            raise Refused(where, "it holds nothing")

    def _call(self, where: str, call: FunctionCall, signature: str | None) -> ToolCall:
        arguments = bytes(call.args)
        if arguments == NULL:
            arguments = b"{}"
        elif arguments[:1] != b"{":
            raise Refused(f"{where}.args", "it must be an object")
        call_id = call.id or self._new_id()
        opened = _OpenCall(call_id, call.name)
        self._open_by_id.setdefault(call_id, deque()).append(opened)
        self._open_by_name.setdefault(call.name, deque()).append(opened)
        return ToolCall(call_id=call_id, name=call.name, arguments=arguments.decode(), signature=signature)

    def _new_id(self) -> str:
        while (made := f"call_{self._made_ids}") in self._given_ids:
            self._made_ids += 1
        self._made_ids += 1
        return made

    def _result(self, where: str, response: FunctionResponse) -> ToolResult:
        found = _oldest(self._open_by_id, response.id) if response.id else None
        found = found or _oldest(self._open_by_name, response.name)
        if found is None:
            raise Refused(where, "it answers no functionCall before it that is still unanswered")
        found.is_answered = True
        text, is_error = _result_text(f"{where}.response", bytes(response.response))
        parts: list[Text | Image | Document] = [Text(text=text)] if text else []
        for number, part in enumerate(response.parts or ()):
            media = _media(f"{where}.parts[{number}]", part)
            if media is None:
                raise Refused(f"{where}.parts[{number}]", "it holds nothing")
            parts.append(media)
        return ToolResult(call_id=found.call_id, name=found.name, parts=tuple(parts), is_error=is_error)


def _oldest(calls: dict[str, deque[_OpenCall]], key: str) -> _OpenCall | None:
    """The oldest call of that key that is unanswered still; those before it were answered by their other key."""
    waiting = calls.get(key, deque())
    while waiting and waiting[0].is_answered:
        waiting.popleft()
    return waiting[0] if waiting else None


def _places(where: str, content: Content) -> Iterator[tuple[str, Part]]:
    for number, part in enumerate(content.parts or ()):
        yield f"{where}.parts[{number}]", part


def _result_text(where: str, response: bytes) -> tuple[str, bool]:
    """The text of the result, and whether it is an error. `{"output": ...}` and `{"error": ...}` are Google's words for
    the two; any other object is the result itself."""
    if response == NULL:
        return "", False
    fields = read_fields(response)
    if fields is None:
        raise Refused(where, "it must be an object")
    if fields.keys() == {"output"} or fields.keys() == {"error"}:
        ((name, value),) = fields.items()
        inner = bytes(value)
        text = msgspec.json.decode(inner, type=str) if inner[:1] == b'"' else inner.decode()
        return text, name == "error"
    return response.decode(), False


def _media(where: str, part: Part | ResponsePart) -> Image | Document | None:
    if part.inline_data is not None:
        return _inline(f"{where}.inlineData", part.inline_data)
    if part.file_data is not None:
        return _file(f"{where}.fileData", part.file_data)
    return None


def _inline(where: str, blob: Blob) -> Image | Document:
    # Google takes both alphabets, with padding or without; other vendors take the standard one.
    data = blob.data.translate(_STANDARD_ALPHABET).rstrip("=")
    data += "=" * (-len(data) % 4)
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{where}.data", "it is not base64") from None
    return _as_media(where, Inline(media_type=blob.mime_type.lower(), data=data), blob.mime_type, blob.display_name)


def _file(where: str, file: FileData) -> Image | Document:
    is_web = file.file_uri.lower().startswith(("http://", "https://"))
    if not is_web or file.file_uri.startswith(_GOOGLES_FILES):
        raise unsupported(f"{where}.fileUri", "only http and https addresses outside Google's file store can be read")
    if not file.mime_type:
        raise Refused(f"{where}.mimeType", "it is required")
    return _as_media(
        where, Url(url=file.file_uri, media_type=file.mime_type.lower()), file.mime_type, file.display_name
    )


def _as_media(where: str, source: Inline | Url, mime_type: str, name: str | None) -> Image | Document:
    kind = mime_type.lower()
    if kind.startswith("image/"):
        return Image(source=source)
    if kind == "application/pdf" or kind.startswith("text/"):
        return Document(source=source, name=name)
    raise unsupported(f"{where}.mimeType", "only images, PDF and text can be sent to the vendors of this model")
