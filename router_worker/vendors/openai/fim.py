"""A chat request with a `suffix`, for a vendor that fills in the middle at a path of its own (Mistral's Codestral).

The text before the gap is the only user message. The answer has the form of a chat completion.
https://docs.mistral.ai/api/endpoint/fim
"""

from typing import Literal

import msgspec

from router_worker.vendors.json_fields import NULL, Fields, to_raw
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure

_TAKEN = frozenset(
    {
        "max_tokens",
        "metadata",
        "min_tokens",
        "model",
        "prompt_cache_key",
        "random_seed",
        "stop",
        "stream",
        "suffix",
        "temperature",
        "top_p",
    }
)
_HINTS = frozenset({"frequency_penalty", "n", "parallel_tool_calls", "presence_penalty", "reasoning_effort", "top_k"})
_NOTHING = (NULL, b"[]", b"{}", b"false")


class _Part(msgspec.Struct):
    type: Literal["text"]
    text: str


class _Message(msgspec.Struct):
    role: Literal["user"]
    content: str | list[_Part]


_MESSAGES = msgspec.json.Decoder(list[_Message])


def asks_to_fill(fields: Fields) -> bool:
    return "suffix" in fields and bytes(fields["suffix"]) != NULL


def fim_fields(fields: Fields) -> tuple[Fields, tuple[str, ...]] | Failure:
    """The body and the names of hints that were left out. `fields` are the vendor's names already."""
    prompt = _prompt(fields.get("messages", msgspec.Raw(NULL)))
    if prompt is None:
        return cannot_say("messages", "With a suffix there must be one message, of the user's, with text only.")
    body: Fields = {}
    dropped: list[str] = []
    for name, value in fields.items():
        if name == "messages":
            body["prompt"] = to_raw(prompt)
        elif name in _TAKEN:
            body[name] = value
        elif name == "n" and bytes(value) not in (NULL, b"1"):
            return cannot_say(name, "The vendor gives one answer to a request with a suffix.")
        elif bytes(value) in _NOTHING:
            continue
        elif name in _HINTS:
            dropped.append(name)
        else:
            return cannot_say(name, "The vendor takes no such field together with a suffix.")
    return body, tuple(name for name in dropped if name != "n")


def _prompt(messages: msgspec.Raw) -> str | None:
    try:
        (message,) = _MESSAGES.decode(messages)
    except (msgspec.DecodeError, ValueError):
        return None
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content)
