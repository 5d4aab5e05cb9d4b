"""All of an OpenAI chat request in canonical form, for vendors that speak another format.

What of it cannot be said elsewhere is refused or dropped, by the rule in `router_worker.canonical.request`.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from router_worker.canonical.request import ChatRequest, Effort
from router_worker.surfaces.openai_chat.messages import Conversation, Turn, unread_fields
from router_worker.surfaces.openai_chat.tools import (
    ChoiceGiven,
    Count,
    FormatGiven,
    Function,
    FunctionCallGiven,
    ReasoningGiven,
    ThinkingGiven,
    ToolGiven,
    read_format,
    read_function_call,
    read_reasoning,
    read_tool_choice,
    read_tools,
)
from router_worker.surfaces.typed_fields import BadFieldError, check_whole, read_typed, untranslatable, wrong
from router_worker.vendors.gateway_fields import GATEWAY_FIELDS
from router_worker.vendors.json_fields import NULL
from schemas.failures import Failure


class _Body(msgspec.Struct, frozen=True):
    """What is translated. `null` is what OpenAI takes it for: not given."""

    messages: list[Turn]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: Count = None
    max_completion_tokens: Count = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Count = None
    stop: str | list[str] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    tools: list[ToolGiven] | None = None
    functions: list[Function] | None = None
    tool_choice: str | ChoiceGiven | None = None
    function_call: FunctionCallGiven | None = None
    parallel_tool_calls: bool | None = None
    response_format: FormatGiven | None = None
    reasoning_effort: Effort | None = None
    reasoning: ReasoningGiven | None = None
    thinking: ThinkingGiven | None = None
    include_reasoning: bool | None = None


# Hints and labels. Verbosity and the penalties are nudges: no answer can be told to have been given without them.
_DROPPED = frozenset(
    {
        "metadata",
        "min_p",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "repetition_penalty",
        "safety_identifier",
        "service_tier",
        "store",
        "top_a",
        "user",
        "verbosity",
    }
)
# They shape the answer, or what stands beside it; each with the values that ask for nothing.
_REFUSED_UNLESS: dict[str, tuple[bytes, ...]] = {
    "audio": (),
    "logit_bias": (b"{}",),
    "logprobs": (b"false",),
    "modalities": (b'["text"]', b"[]"),
    "moderation": (),
    "n": (b"1",),
    "top_logprobs": (b"0",),
    "web_search_options": (),
}
_KNOWN = frozenset(_Body.__struct_fields__) | {"model"} | frozenset(GATEWAY_FIELDS)

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_BODY = msgspec.json.Decoder(_Body)


def read_canonical(body: bytes) -> ChatRequest | Failure:
    """INVALID_REQUEST with the field at fault in `param`, or INVALID_JSON."""
    try:
        check_whole(body)
        fields = read_typed(_FIELDS, body, "")
        dropped = _sort_out(fields)
        return _read(read_typed(_BODY, body, ""), fields, dropped)
    except BadFieldError as bad:
        return bad.failure


def _sort_out(fields: dict[str, msgspec.Raw]) -> set[str]:
    dropped: set[str] = set()
    for name, value in fields.items():
        if name in _KNOWN or bytes(value) == NULL:
            continue
        if name in _DROPPED:
            dropped.add(name)
        elif name not in _REFUSED_UNLESS:
            raise untranslatable(name, "The field is not known, so it cannot be translated for this model's vendors.")
        elif b"".join(bytes(value).split()) not in _REFUSED_UNLESS[name]:
            raise untranslatable(name, "This cannot be translated for the vendors of this model.")
    if bytes(fields.get("store", NULL)) == b"false":
        dropped.discard("store")
    return dropped


def _read(body: _Body, fields: dict[str, msgspec.Raw], dropped: set[str]) -> ChatRequest:
    for message in _MESSAGES.decode(fields["messages"]):
        dropped |= unread_fields(message)
    conversation = Conversation(dropped)
    conversation.read(body.messages)
    if not conversation.messages:
        raise wrong("messages", "At least one message of a user is required.")
    tools = read_tools(body.tools, body.functions)
    chosen = read_tool_choice(body.tool_choice, tools) or read_function_call(body.function_call, tools)
    caps = [cap for cap in (body.max_tokens, body.max_completion_tokens) if cap is not None]
    reasoning = read_reasoning(body.reasoning_effort, body.reasoning, body.thinking, body.include_reasoning, dropped)
    return ChatRequest(
        messages=tuple(conversation.messages),
        system=tuple(conversation.system),
        streaming=body.stream is True,
        tools=tools,
        tool_choice=chosen,
        parallel_tool_calls=body.parallel_tool_calls,
        response_format=read_format(body.response_format),
        reasoning=reasoning,
        max_output_tokens=min(caps, default=None),
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        seed=body.seed,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        dropped=tuple(sorted(dropped)),
    )
