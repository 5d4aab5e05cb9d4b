"""A canonical conversation as the `messages` of OpenAI's chat completions."""

import base64
from typing import Any

from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Document,
    Image,
    Inline,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Ttl,
    UserMessage,
)
from router_worker.vendors.openai.short_call_ids import short_call_id
from router_worker.vendors.row import Quirks
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure

_EXTENSIONS = {"application/pdf": "pdf", "text/csv": "csv", "text/html": "html", "text/markdown": "md"}

Json = dict[str, Any]


class _CannotSay(Exception):
    def __init__(self, failure: Failure) -> None:
        self.failure = failure


class MessageWriter:
    """For one request. `dropped`: what has no place in the messages, filled while they are written."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self.dropped: set[str] = set()

    def write(self, request: ChatRequest) -> list[Json] | Failure:
        messages: list[Json] = []
        if request.system:
            messages.append({"role": "system", "content": self._system(request.system)})
        try:
            for message in request.messages:
                if isinstance(message, UserMessage):
                    messages += self._user(message)
                else:
                    messages.append(self._assistant(message))
        except _CannotSay as found:
            return found.failure
        last = request.messages[-1] if request.messages else None
        begins_answer = isinstance(last, AssistantMessage) and "tool_calls" not in messages[-1]
        if self._quirks.prefix_field is not None and begins_answer:
            messages[-1][self._quirks.prefix_field] = True
        return messages

    def _system(self, texts: tuple[Text, ...]) -> str | list[Json]:
        """In one message: many chat templates take one only, at the start."""
        if self._quirks.cache_control and any(text.cache for text in texts):
            return [self._text(text) for text in texts]
        if any(text.cache for text in texts):
            self.dropped.add("cache_control")
        return "\n\n".join(text.text for text in texts)

    def _user(self, message: UserMessage) -> list[Json]:
        messages: list[Json] = []
        parts: list[Json] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                messages.append(self._tool_result(part))
            else:
                parts.append(self._part(part))
        if parts or not messages:
            if messages and self._quirks.after_tool_results is not None:
                messages.append({"role": "assistant", "content": self._quirks.after_tool_results})
            messages.append({"role": "user", "content": _as_text(parts)})
        return messages

    def _tool_result(self, result: ToolResult) -> Json:
        texts = []
        for part in result.parts:
            if isinstance(part, Text):
                texts.append(part.text)
            elif isinstance(part, Document) and (text := _plain_text(part)) is not None:
                texts.append(text)
            else:
                what = "image" if isinstance(part, Image) else "document"
                raise _CannotSay(cannot_say(f"{what} in a tool result", "The vendor takes only text there."))
        if result.cache is not None or any(part.cache is not None for part in result.parts):
            self.dropped.add("cache_control")
        if result.is_error:
            self.dropped.add("is_error")
        return {"role": "tool", "tool_call_id": self._call_id(result.call_id), "content": "\n".join(texts)}

    def _part(self, part: Text | Image | Document) -> Json:
        if isinstance(part, Text):
            return self._text(part)
        if part.cache is not None:
            self.dropped.add("cache_control")
        source = part.source
        if isinstance(part, Image):
            image: Json = {"url": _data_url(source) if isinstance(source, Inline) else source.url}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        if (text := _plain_text(part)) is not None:
            return {"type": "text", "text": text}
        if self._quirks.documents == "document_url":
            url = _data_url(source) if isinstance(source, Inline) else source.url
            named = {} if part.name is None else {"document_name": part.name}
            return {"type": "document_url", "document_url": url, **named}
        if not isinstance(source, Inline):
            raise _CannotSay(cannot_say("document URL", "The vendor takes documents only as data."))
        name = part.name or "document." + _EXTENSIONS.get(source.media_type, "bin")
        return {"type": "file", "file": {"filename": name, "file_data": _data_url(source)}}

    def _text(self, text: Text) -> Json:
        part: Json = {"type": "text", "text": text.text}
        if text.cache is not None:
            if self._quirks.cache_control:
                part["cache_control"] = _cache_control(text.cache)
            else:
                self.dropped.add("cache_control")
        return part

    def _assistant(self, message: AssistantMessage) -> Json:
        texts = [self._text(part) for part in message.parts if isinstance(part, Text)]
        thoughts = [part for part in message.parts if isinstance(part, Thinking)]
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        written: Json = {"role": "assistant", "content": "".join(part["text"] for part in texts)}
        self._add_thoughts(written, thoughts)
        if calls:
            written["tool_calls"] = [
                {
                    "id": self._call_id(call.call_id),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in calls
            ]
            if any(call.cache is not None for call in calls):
                self.dropped.add("cache_control")
            # "" is not everywhere the same as nothing said.
            written["content"] = written["content"] or None
        return written

    def _add_thoughts(self, written: Json, thoughts: list[Thinking]) -> None:
        field = self._quirks.thoughts
        texts = [thought.text for thought in thoughts if thought.text]
        if thoughts and (field is None or not texts):
            self.dropped.add("reasoning")
        if field is None or not texts:
            return
        if field == "thinking_parts":
            parts: list[Json] = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]} for text in texts]
            if written["content"]:
                parts.append({"type": "text", "text": written["content"]})
            written["content"] = parts
        else:
            written[field] = "".join(texts)

    def _call_id(self, call_id: str) -> str:
        return short_call_id(call_id) if self._quirks.short_tool_call_ids else call_id


def _as_text(parts: list[Json]) -> str | list[Json]:
    """A lone text as a string, which every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def _plain_text(document: Document) -> str | None:
    source = document.source
    if not isinstance(source, Inline) or source.media_type.partition(";")[0] != "text/plain":
        return None
    return base64.b64decode(source.data).decode(errors="replace")


def _data_url(source: Inline) -> str:
    return f"data:{source.media_type};base64,{source.data}"


def _cache_control(ttl: Ttl) -> Json:
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
