"""The parts of a message's content in OpenAI's chat completions, from a client's body."""

from dataclasses import replace
from typing import Any, Literal

import msgspec

from router_worker.canonical.request import Document, Image, Inline, Text, Ttl, Url
from router_worker.surfaces.typed_fields import read_source, untranslatable, wrong


class CacheControl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As clients of LiteLLM and OpenRouter write it, in Anthropic's words."""

    type: Literal["ephemeral"] = "ephemeral"
    ttl: Literal["5m", "1h"] | None = None


class _Part(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """`prompt_cache_breakpoint` is OpenAI's own word for where its cache may end: a hint to no one else."""

    prompt_cache_breakpoint: dict[str, Any] | None = None
    cache_control: CacheControl | None = None


class TextPart(_Part, frozen=True, tag="text", kw_only=True):
    text: str
    annotations: list[Any] | None = None


class RefusalPart(_Part, frozen=True, tag="refusal", kw_only=True):
    refusal: str


class _ImageUrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`format` is LiteLLM's word for the media type of a URL."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None
    format: str | None = None


class ImagePart(_Part, frozen=True, tag="image_url", kw_only=True):
    image_url: _ImageUrl | str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None
    format: str | None = None


class FilePart(_Part, frozen=True, tag="file", kw_only=True):
    file: _File


class AudioPart(_Part, frozen=True, tag="input_audio", kw_only=True):
    input_audio: Any


UserPart = TextPart | ImagePart | FilePart | AudioPart
AssistantPart = TextPart | RefusalPart


def ttl_of(control: CacheControl | None) -> Ttl | None:
    return None if control is None else control.ttl or "5m"


def read_texts(content: str | list[Any] | None, place: str, dropped: set[str]) -> list[Text]:
    """A refusal is text that the assistant said."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    texts: list[Text] = []
    for number, part in enumerate(content):
        _note_hints(part, dropped)
        if isinstance(part, TextPart):
            texts.append(Text(text=part.text, cache=ttl_of(part.cache_control)))
        elif isinstance(part, RefusalPart):
            texts.append(Text(text=part.refusal, cache=ttl_of(part.cache_control)))
        else:
            raise wrong(f"{place}[{number}].type", "Only text may stand here.")
    return [text for text in texts if text.text or text.cache]


def read_parts(content: str | list[UserPart], place: str, dropped: set[str]) -> list[Text | Image | Document]:
    if isinstance(content, str):
        return [Text(text=content)]
    parts: list[Text | Image | Document] = []
    for number, part in enumerate(content):
        _note_hints(part, dropped)
        here = f"{place}[{number}]"
        cache = ttl_of(part.cache_control)
        match part:
            case TextPart():
                parts.append(Text(text=part.text, cache=cache))
            case ImagePart():
                parts.append(_image(part, cache, f"{here}.image_url", dropped))
            case FilePart():
                parts.append(_document(part.file, cache, f"{here}.file"))
            case AudioPart():
                raise untranslatable(f"{here}.type", "Sound cannot be translated for the vendors of this model.")
    return parts


def _image(part: ImagePart, cache: Ttl | None, place: str, dropped: set[str]) -> Image:
    given = part.image_url
    if isinstance(given, str):
        return Image(source=_source(given, None, place), cache=cache)
    if given.detail == "original":
        dropped.add("image_url.detail")
    return Image(
        source=_source(given.url, given.format, f"{place}.url"),
        detail=None if given.detail == "original" else given.detail,
        cache=cache,
    )


def _document(file: _File, cache: Ttl | None, place: str) -> Document:
    if file.file_data is None:
        if file.file_id is not None:
            raise untranslatable(f"{place}.file_id", "A file at one vendor cannot be read by others; send file_data.")
        raise wrong(f"{place}.file_data", "Is required.")
    return Document(source=_source(file.file_data, file.format, f"{place}.file_data"), name=file.filename, cache=cache)


def _source(url: str, media_type: str | None, place: str) -> Inline | Url:
    source = read_source(url, place)
    return replace(source, media_type=media_type) if isinstance(source, Url) and media_type is not None else source


def _note_hints(part: _Part, dropped: set[str]) -> None:
    if part.prompt_cache_breakpoint is not None:
        dropped.add("prompt_cache_breakpoint")
    if isinstance(part, TextPart) and part.annotations:
        dropped.add("annotations")
