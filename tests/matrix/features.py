"""Everything that a canonical request can say, one thing at a time, and what becomes of it at each vendor format.

A feature is kept if the vendor's request says something else with it than without it; dropped if its name is among the
fields left out; refused if there is no request. None of the three would be a silent loss.
"""

import json
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import msgspec

from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    Document,
    Image,
    Inline,
    JsonFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
    UserMessage,
    UserPart,
)
from router_worker.vendors.vendor import Vendor, VendorCall, VendorRequest
from router_worker.ways import CHAT_SURFACES, ways_of
from schemas.failures import Failure
from tests.matrix.cells import WireSamples
from tests.matrix.meaning import MODEL, PNG, SCHEMA, TOOL, TOOL_PARAMETERS, Json

_PDF = "JVBERi0xLjQKJSVFT0YK"
_PNG = Inline(media_type="image/png", data=PNG)
_ASK = Text(text="Hi")
_TOOL = Tool(name=TOOL, description="Weather", parameters=msgspec.Raw(json.dumps(TOOL_PARAMETERS).encode()))
_FORMAT = JsonFormat(schema=msgspec.Raw(json.dumps(SCHEMA).encode()), name="sum")
_CALL = ToolCall(call_id="call_00001", name=TOOL, arguments='{"city":"Oslo"}')
_ANSWER = ToolResult(call_id="call_00001", name=TOOL, parts=(Text(text="7"),))

PLAIN = ChatRequest(messages=(UserMessage(parts=(_ASK,)),), max_output_tokens=4000)
WITH_TOOL = replace(PLAIN, tools=(_TOOL,))


def _loop(result: ToolResult = _ANSWER, thought: Thinking | None = None) -> ChatRequest:
    said = AssistantMessage(parts=(_CALL,) if thought is None else (thought, _CALL))
    messages = (UserMessage(parts=(_ASK,)), said, UserMessage(parts=(result,)))
    return replace(WITH_TOOL, messages=messages, reasoning=Reasoning(effort="medium"))


def _ask(*parts: UserPart) -> ChatRequest:
    return replace(PLAIN, messages=(UserMessage(parts=(*parts, _ASK)),))


class Feature(NamedTuple):
    """`without`: the request that `request` adds the feature to."""

    name: str
    request: ChatRequest
    without: ChatRequest = PLAIN


FEATURES: tuple[Feature, ...] = (
    Feature("instructions", replace(PLAIN, system=(Text(text="Be terse."),))),
    Feature("image, inline", _ask(Image(source=_PNG))),
    Feature("image, URL", _ask(Image(source=Url(url="https://example.org/a.png", media_type="image/png")))),
    Feature("image, low detail", _ask(Image(source=_PNG, detail="low")), _ask(Image(source=_PNG))),
    Feature("document, PDF inline", _ask(Document(source=Inline(media_type="application/pdf", data=_PDF), name="a"))),
    Feature(
        "document, PDF by URL",
        _ask(Document(source=Url(url="https://example.org/a.pdf", media_type="application/pdf"), name="a")),
    ),
    Feature("document, plain text", _ask(Document(source=Inline(media_type="text/plain", data="SGk="), name="a"))),
    Feature("tools", WITH_TOOL),
    Feature("tool, strict", replace(PLAIN, tools=(replace(_TOOL, strict=True),)), WITH_TOOL),
    Feature("tool choice: none", replace(WITH_TOOL, tool_choice=ToolChoice(mode="none")), WITH_TOOL),
    Feature("tool choice: required", replace(WITH_TOOL, tool_choice=ToolChoice(mode="required")), WITH_TOOL),
    Feature("tool choice: by name", replace(WITH_TOOL, tool_choice=ToolChoice(mode="tool", name=TOOL)), WITH_TOOL),
    Feature("one tool call at a time", replace(WITH_TOOL, parallel_tool_calls=False), WITH_TOOL),
    Feature("tool call and result", _loop(), replace(WITH_TOOL, reasoning=Reasoning(effort="medium"))),
    Feature("tool result, an error", _loop(replace(_ANSWER, is_error=True)), _loop()),
    Feature("tool result with image", _loop(replace(_ANSWER, parts=(Text(text="7"), Image(source=_PNG)))), _loop()),
    Feature(
        "thought of Anthropic's", _loop(thought=Thinking(text="Hm", signature="c2ln", made_by="anthropic")), _loop()
    ),
    Feature("thought of Gemini's", _loop(thought=Thinking(text="Hm", signature="c2ln", made_by="gemini")), _loop()),
    Feature("thought, unsigned", _loop(thought=Thinking(text="Hm")), _loop()),
    Feature("JSON of any shape", replace(PLAIN, response_format=JsonFormat())),
    Feature("JSON schema", replace(PLAIN, response_format=_FORMAT)),
    Feature("JSON schema beside tools", replace(WITH_TOOL, response_format=_FORMAT), WITH_TOOL),
    Feature("reasoning: effort", replace(PLAIN, reasoning=Reasoning(effort="high"))),
    Feature("reasoning: budget", replace(PLAIN, reasoning=Reasoning(budget_tokens=2048))),
    Feature("reasoning: none", replace(PLAIN, reasoning=Reasoning(effort="none"))),
    Feature(
        "reasoning: shown",
        replace(PLAIN, reasoning=Reasoning(effort="high", visible=True)),
        replace(PLAIN, reasoning=Reasoning(effort="high")),
    ),
    Feature(
        "reasoning: hidden",
        replace(PLAIN, reasoning=Reasoning(effort="high", visible=False)),
        replace(PLAIN, reasoning=Reasoning(effort="high")),
    ),
    Feature("output cap", replace(PLAIN, max_output_tokens=3999)),
    Feature("temperature 0.5", replace(PLAIN, temperature=0.5)),
    Feature("temperature 1.5", replace(PLAIN, temperature=1.5)),
    Feature("top_p", replace(PLAIN, top_p=0.5)),
    Feature("top_k", replace(PLAIN, top_k=40)),
    Feature("stop sequence", replace(PLAIN, stop=("END",))),
    Feature("six stop sequences", replace(PLAIN, stop=("A", "B", "C", "D", "E", "F"))),
    Feature("seed", replace(PLAIN, seed=7)),
    Feature("presence penalty", replace(PLAIN, presence_penalty=0.5)),
    Feature("frequency penalty", replace(PLAIN, frequency_penalty=0.5)),
    Feature("cache mark, 5 minutes", replace(PLAIN, messages=(UserMessage(parts=(replace(_ASK, cache="5m"),)),))),
    Feature("cache mark, 1 hour", replace(PLAIN, messages=(UserMessage(parts=(replace(_ASK, cache="1h"),)),))),
)


UNHEEDED: dict[tuple[str, str], str] = {
    ("reasoning: none", "anthropic"): "it does not reason unless told to",
    ("reasoning: none", "bedrock"): "it does not reason unless told to",
    ("reasoning: shown", "openai"): "it shows no thoughts",
    ("reasoning: shown", "anthropic"): "it shows them anyway",
    ("reasoning: shown", "bedrock"): "it shows them anyway",
    ("reasoning: shown", "cohere"): "it shows them anyway",
    ("reasoning: shown", "mistral"): "it shows them anyway",
    ("reasoning: hidden", "openai"): "it shows no thoughts",
    ("reasoning: hidden", "cohere"): "the gateway leaves them out of the answer",
    ("reasoning: hidden", "mistral"): "a gap: its thoughts are shown all the same",
}
"""Why the vendor's request is the same with the feature as without it."""


@dataclass(frozen=True, kw_only=True)
class Fate:
    """`says`: the names of what was left out, or the refusal."""

    verdict: Literal["kept", "dropped", "refused", "lost"]
    says: str = ""


def fate(wire: WireSamples, feature: Feature) -> Fate:
    made = _build(wire, feature.request)
    if isinstance(made, Failure):
        assert made.http_status == 400
        assert made.code == "unsupported_by_vendor", made
        return Fate(verdict="refused", says=made.text)
    without = _build(wire, feature.without)
    assert isinstance(without, VendorRequest), without
    dropped = [name for name in made.dropped if name not in without.dropped]
    if dropped:
        return Fate(verdict="dropped", says=", ".join(dropped))
    return Fate(verdict="lost" if _same(made, without) else "kept")


def _same(one: VendorRequest, other: VendorRequest) -> bool:
    bodies: list[Json] = [json.loads(request.body) for request in (one, other)]
    return bodies[0] == bodies[1] and one.headers == other.headers


def _build(wire: WireSamples, request: ChatRequest) -> VendorRequest | Failure:
    call, vendor = calling(wire, request)
    return vendor.build_request(call)


def calling(wire: WireSamples, request: ChatRequest) -> tuple[VendorCall, Vendor]:
    """A call by any client API that needs translation for it; what is built does not depend on which."""
    ways = ways_of(wire.row)
    vendor = next(ways[name].vendor for name in CHAT_SURFACES if ways[name].translated)
    call = VendorCall(
        body=b"{}",
        canonical=request,
        model_id=MODEL,
        vendor_model=wire.vendor_model,
        streaming=False,
        api_key="test-key",
        answer_id="matrix",
        route_max_output_tokens=8192,
    )
    return call, vendor
