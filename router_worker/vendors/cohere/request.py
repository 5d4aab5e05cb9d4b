"""A canonical request as a body of Cohere's POST /v2/chat.

Source: Cohere API reference, "Chat", as mirrored in the types of the `cohere` package 7.3. The rules where both differ:

- A choice of one function is that function alone, with the order to call some function.
- `strict_tools` holds for all functions: it is set if any of them is strict.
- A JSON answer and functions exclude each other at Cohere, and it always may call several at once: refused.
- A document of plain text becomes part of the message; others are refused. Cohere's own `documents` are not used, since
  they switch the model to answering from them with citations.
- What the model planned before a call goes back as `tool_plan`; other thoughts of earlier turns are left out.
- An effort becomes a budget of thinking tokens. Temperatures above 1, of which Cohere has none, are left out.
- `p` ends at 0.01 and 0.99, so a `top_p` beyond is sent as those. Of two penalties only one is taken.
"""

import base64
import binascii
from typing import Any

import msgspec

from router_worker.canonical.reasoning import budget_tokens
from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Document,
    Image,
    Inline,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    UserMessage,
)
from router_worker.vendors.vendor import VendorCall
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure

Json = dict[str, Any]

MAX_STOPS = 5
MAX_TOP_K = 500
MAX_SEED = 2**64 - 1
LEAST_P, MOST_P = 0.01, 0.99
_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')


class CannotSay(Exception):
    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.failure = cannot_say(field, why)


def chat_body(request: ChatRequest, call: VendorCall) -> tuple[bytes, tuple[str, ...]] | Failure:
    """The body, and the names of what was left out."""
    dropped: set[str] = set()
    try:
        fields: Json = {
            "model": call.vendor_model,
            "stream": call.streaming,
            "messages": _messages(request, dropped),
            **_tools(request, dropped),
            **_response_format(request),
            **_sampling(request, dropped),
            **_thinking(request, call),
        }
    except CannotSay as refusal:
        return refusal.failure
    cap = _cap(request, call)
    if cap is not None:
        fields["max_tokens"] = cap
    if _asks_for_cache(request):
        dropped.add("cache_control")
    return msgspec.json.encode(fields), tuple(sorted(dropped))


def _asks_for_cache(request: ChatRequest) -> bool:
    """Cohere caches by itself."""
    parts = (part for message in request.messages for part in message.parts if not isinstance(part, Thinking))
    return any(each.cache is not None for each in (*request.system, *request.tools, *parts))


def _cap(request: ChatRequest, call: VendorCall) -> int | None:
    caps = [cap for cap in (request.max_output_tokens, call.max_output_tokens) if cap is not None]
    return min(caps, default=None)


def _messages(request: ChatRequest, dropped: set[str]) -> list[Json]:
    messages: list[Json] = []
    system = [text.text for text in request.system if text.text]
    if system:
        messages.append({"role": "system", "content": "\n\n".join(system)})
    for message in request.messages:
        if isinstance(message, AssistantMessage):
            messages += _assistant(message, dropped)
        else:
            messages += _user(message, dropped)
    return messages


def _assistant(message: AssistantMessage, dropped: set[str]) -> list[Json]:
    texts = [{"type": "text", "text": part.text} for part in message.parts if isinstance(part, Text) and part.text]
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    thoughts = [part for part in message.parts if isinstance(part, Thinking)]
    plans = [part for part in thoughts if part.made_by == "unknown" and part.signature is None] if calls else []
    if len(plans) < len(thoughts):
        dropped.add("thinking")
    written: Json = {"role": "assistant"}
    if texts:
        written["content"] = texts
    if calls:
        written["tool_calls"] = [
            {"id": part.call_id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}
            for part in calls
        ]
        plan = "".join(part.text for part in plans)
        if plan:
            written["tool_plan"] = plan
    # With neither, Cohere would refuse the message; the thoughts that may have been all of it mean nothing to it.
    return [written] if len(written) > 1 else []


def _user(message: UserMessage, dropped: set[str]) -> list[Json]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    written = [_tool_result(result, dropped) for result in results]
    blocks = [_user_block(part) for part in message.parts if not isinstance(part, ToolResult)]
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        written.append({"role": "user", "content": blocks[0]["text"]})
    elif blocks:
        written.append({"role": "user", "content": blocks})
    return written


def _tool_result(result: ToolResult, dropped: set[str]) -> Json:
    if result.is_error:
        dropped.add("is_error")
    blocks: list[Json] = []
    for part in result.parts:
        if isinstance(part, Image):
            raise CannotSay("tool result", "Cohere takes no images there")
        blocks.append({"type": "text", "text": part.text if isinstance(part, Text) else _plain_text(part)})
    content = blocks[0]["text"] if len(blocks) == 1 else blocks
    return {"role": "tool", "tool_call_id": result.call_id, "content": content or ""}


def _user_block(part: Text | Image | Document) -> Json:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Document):
        return {"type": "text", "text": _plain_text(part)}
    source = part.source
    url = f"data:{source.media_type};base64,{source.data}" if isinstance(source, Inline) else source.url
    detail = {} if part.detail is None else {"detail": part.detail}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _plain_text(document: Document) -> str:
    source = document.source
    if not isinstance(source, Inline) or not source.media_type.startswith("text/"):
        raise CannotSay("document", "Cohere's chat takes text and images only")
    try:
        text = base64.b64decode(source.data).decode()
    except (binascii.Error, ValueError):
        raise CannotSay("document", "its text is not UTF-8") from None
    return f"{document.name}\n\n{text}" if document.name else text


def _tools(request: ChatRequest, dropped: set[str]) -> Json:
    choice = request.tool_choice
    tools = request.tools
    if not tools:
        return {}
    if request.parallel_tool_calls is False and request.names_a_tool:
        dropped.add("parallel_tool_calls")
    elif request.parallel_tool_calls is False:
        raise CannotSay("parallel_tool_calls", "Cohere cannot be told to call one tool at a time")
    if choice is not None and choice.mode == "tool":
        tools = tuple(tool for tool in tools if tool.name == choice.name)
        if not tools:
            raise CannotSay("tool_choice", "there is no tool of that name")
    fields: Json = {"tools": [_tool(tool) for tool in tools]}
    if any(tool.strict for tool in tools):
        fields["strict_tools"] = True
    if choice is not None and choice.mode in ("required", "tool"):
        fields["tool_choice"] = "REQUIRED"
    elif choice is not None and choice.mode == "none":
        fields["tool_choice"] = "NONE"
    return fields


def _tool(tool: Tool) -> Json:
    parameters = _NO_PARAMETERS if tool.parameters is None else tool.parameters
    function: Json = {"name": tool.name, "parameters": parameters}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _response_format(request: ChatRequest) -> Json:
    wanted = request.response_format
    if wanted is None:
        return {}
    if request.tools:
        raise CannotSay("response_format", "Cohere takes no tools beside it")
    schema = {} if wanted.schema is None else {"json_schema": wanted.schema}
    return {"response_format": {"type": "json_object", **schema}}


def _sampling(request: ChatRequest, dropped: set[str]) -> Json:
    fields: Json = {}
    if len(request.stop) > MAX_STOPS:
        raise CannotSay("stop", f"Cohere takes at most {MAX_STOPS} sequences")
    if request.stop:
        fields["stop_sequences"] = request.stop
    if request.temperature is not None:
        _keep(fields, dropped, "temperature", request.temperature, within=request.temperature <= 1)
    if request.top_p is not None:
        fields["p"] = min(max(request.top_p, LEAST_P), MOST_P)
    if request.top_k is not None:
        if request.top_k > MAX_TOP_K:
            raise CannotSay("top_k", f"Cohere takes at most {MAX_TOP_K}")
        fields["k"] = request.top_k
    if request.seed is not None:
        _keep(fields, dropped, "seed", request.seed, within=0 <= request.seed <= MAX_SEED)
    penalties = (
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
    )
    taken = False
    for name, penalty in penalties:
        # 0 is the default, and need not be said.
        if penalty:
            _keep(fields, dropped, name, penalty, within=0 <= penalty <= 1 and not taken)
            taken = name in fields
    return fields


def _keep(fields: Json, dropped: set[str], name: str, value: float, *, within: bool) -> None:
    if within:
        fields[name] = value
    else:
        dropped.add(name)


def _thinking(request: ChatRequest, call: VendorCall) -> Json:
    wanted = request.reasoning
    if wanted is None:
        return {}
    if wanted.effort is None and wanted.budget_tokens is None:
        return {"thinking": {"type": "enabled"}}
    cap = _cap(request, call) or call.route_max_output_tokens
    budget = budget_tokens(wanted, cap, least=1, most=cap)
    if budget <= 0:
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled", "token_budget": budget}}
