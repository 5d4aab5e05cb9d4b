"""A chat request in no client's and no vendor's format. Surfaces read it, wires write it. Pure data.

Only what at least two formats can say has a place here. What a client said besides is either dropped or refused, by
one rule for all formats, and never silently:

- A field that shapes the answer or what is done with it is refused: the reader returns a Failure that names it.
- A field that is only a hint or a label (seeds, penalties, user ids, cache keys, metadata, service tiers) is dropped
  and its name noted in `dropped`; the client sees the names in the header `X-Tollhouse-Dropped-Fields`.

Where client and vendor speak the same format none of this is used: the body passes through.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

Ttl = Literal["5m", "1h"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """`data` in base64, checked to be that by whoever read it. `media_type` like "image/png"."""

    media_type: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """http or https. A wire whose vendor does not fetch URLs refuses it; the gateway fetches nothing."""

    url: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """`cache`: what stands up to here, inclusive, is worth keeping in the vendor's cache for that long."""

    text: str
    cache: Ttl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    source: Inline | Url
    detail: Literal["auto", "low", "high"] | None = None
    cache: Ttl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A PDF or the like; for plain text `source` is Inline with media_type "text/plain"."""

    source: Inline | Url
    name: str | None = None
    cache: Ttl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """An assistant's reasoning of an earlier turn. `signature`: the vendor's proof that it wrote it; `encrypted`: all
    there is, when the vendor does not show the text. A vendor accepts only its own, so `made_by` names the format."""

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    made_by: Literal["anthropic", "gemini", "openai", "bedrock", "unknown"] = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """`arguments` is the JSON text of an object. `signature` is Gemini's thought signature of this call."""

    call_id: str
    name: str
    arguments: str
    signature: str | None = None
    cache: Ttl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """`name` is that of the tool, found by the reader from the call with the same id. Stands in a user's message."""

    call_id: str
    name: str
    parts: tuple[Text | Image | Document, ...]
    is_error: bool = False
    cache: Ttl | None = None


UserPart = Text | Image | Document | ToolResult
AssistantPart = Text | Thinking | ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """Tool results come before other parts."""

    parts: tuple[UserPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantMessage:
    parts: tuple[AssistantPart, ...]


Message = UserMessage | AssistantMessage
"""Roles need not alternate here; a wire whose vendor insists on it joins neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the client can run. `parameters` is a JSON schema (as JSON); None for a function without any."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw | None = None
    strict: bool | None = None
    cache: Ttl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """`name` only with mode "tool"."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat:
    """The answer's text is to be JSON; with a `schema` (as JSON), JSON of that shape."""

    schema: msgspec.Raw | None = None
    name: str = "answer"
    description: str | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """How much the model is to think before it answers. Either may be missing: a wire that knows only the other turns
    one into the other by `canonical.reasoning`. `budget_tokens` 0 or `effort` "none": not at all.
    `visible`: the client wants to see what was thought; None is the vendor's default."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    visible: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """`system` are the instructions in order; those in the middle of a conversation are read into it too.

    A number that is None was not given; a vendor's own default then holds. `max_output_tokens` counts reasoning too.
    `parallel_tool_calls` False: at most one call per turn. Beside a tool that is named it is a hint, dropped by
    its name where a vendor has no word for it: some clients (LangChain) send both for every structured output.
    """

    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    streaming: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: JsonFormat | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    dropped: tuple[str, ...] = ()

    @property
    def names_a_tool(self) -> bool:
        """Whether the model is to call one tool, and which."""
        return self.tool_choice is not None and self.tool_choice.mode == "tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsRequest:
    """`inputs` texts in order. `purpose`: what the vectors are for, where the vendor tells that apart."""

    inputs: tuple[str, ...]
    dimensions: int | None = None
    base64: bool = False
    purpose: Literal["query", "document", "classification", "clustering"] = "document"
    dropped: tuple[str, ...] = ()
