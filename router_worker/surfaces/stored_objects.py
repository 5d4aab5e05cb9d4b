"""References to what lies at a vendor: files, vector stores, containers, caches.

They lie in the account of the gateway's operator there, which all callers share, so who may name one could read what
another stored. Where a body is translated they could not be said anyway; here they are refused where it passes
through, too.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from schemas.envelope import Surface
from schemas.failures import Failure, FailureKind

_BODY = msgspec.json.Decoder(dict[str, Any])
_GEMINI_FILES = ("files/", "https://generativelanguage.googleapis.com/", "gs://")


def stored_object(surface: Surface, body: bytes) -> Failure | None:
    """`body` has been read by the surface. Most have none of the words, and are not looked at again."""
    words, find = _FINDERS.get(surface, ((), None))
    if find is None or not any(word in body for word in words):
        return None
    try:
        place = next(find(_BODY.decode(body)), None)
    except msgspec.DecodeError:
        return None  # half surrogate pairs and the like, which no reference has
    if place is None:
        return None
    return Failure(
        kind=FailureKind.INVALID_REQUEST,
        message=f"{place}: what is stored at a vendor cannot be named here, send it in the request instead.",
        param=place,
        code="stored_object_unsupported",
    )


def _items(value: Any, *names: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in the list under the first name that is there, each with its place."""
    holder = value if isinstance(value, dict) else {}
    for name in names:
        found = holder.get(name)
        if isinstance(found, list):
            for number, item in enumerate(found):
                if isinstance(item, dict):
                    yield f"{name}[{number}]", item


def _in_chat(body: dict[str, Any]) -> Iterator[str]:
    for message_place, message in _items(body, "messages"):
        for place, part in _items(message, "content"):
            if isinstance(part.get("file"), dict) and part["file"].get("file_id") is not None:
                yield f"{message_place}.{place}.file.file_id"


def _in_responses(body: dict[str, Any]) -> Iterator[str]:
    for item_place, item in _items(body, "input"):
        for place, part in (("", item), *((f".{place}", part) for place, part in _items(item, "content", "output"))):
            if part.get("file_id") is not None:
                yield f"{item_place}{place}.file_id"
    for place, tool in _items(body, "tools"):
        for name in ("vector_store_ids", "file_ids"):
            if tool.get(name):
                yield f"{place}.{name}"
        container = tool.get("container")
        if isinstance(container, str) or (isinstance(container, dict) and container.get("file_ids")):
            yield f"{place}.container"


def _in_messages(body: dict[str, Any]) -> Iterator[str]:
    if body.get("container") is not None:
        yield "container"
    for message_place, message in _items(body, "messages"):
        for place, block in _items(message, "content"):
            for inner, each in (("", block), *((f".{inner}", each) for inner, each in _items(block, "content"))):
                source = each.get("source")
                if isinstance(source, dict) and source.get("type") == "file":
                    yield f"{message_place}.{place}{inner}.source"
                elif each.get("type") == "container_upload":
                    yield f"{message_place}.{place}{inner}.file_id"


def _in_gemini(body: dict[str, Any]) -> Iterator[str]:
    for name in ("cachedContent", "cached_content"):
        if body.get(name) is not None:
            yield name
    for content_place, content in _items(body, "contents"):
        for place, part in _items(content, "parts"):
            data = part.get("fileData", part.get("file_data"))
            uri = data.get("fileUri", data.get("file_uri")) if isinstance(data, dict) else None
            if isinstance(uri, str) and uri.startswith(_GEMINI_FILES):
                yield f"{content_place}.{place}.fileData.fileUri"


_ANTHROPIC = ((b'"container', b'"file"'), _in_messages)
_FINDERS: Mapping[Surface, tuple[tuple[bytes, ...], Callable[[dict[str, Any]], Iterator[str]]]] = {
    "openai.chat": ((b'"file_id"',), _in_chat),
    "openai.responses": ((b'"file_id', b'"vector_store_ids"', b'"container"'), _in_responses),
    "anthropic.messages": _ANTHROPIC,
    "anthropic.count_tokens": _ANTHROPIC,
    "gemini.generate": ((b'ileUri"', b'file_uri"', b'"cached'), _in_gemini),
}
