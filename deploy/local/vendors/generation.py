"""What is generated for a request: pieces of text or of tool arguments, and token figures. No I/O, no wire format."""

from typing import Any, Literal

import msgspec
import orjson

from deploy.local.vendors.behaviour import Behaviour

FinishReason = Literal["stop", "length", "tool_calls"]

# Without `chunks`, a long prompt is echoed only in part: load tests with large prompts do not want large answers.
MAX_ECHO_WORDS = 256
_ARGUMENT_PIECE_CHARACTERS = 8


class Tool(msgspec.Struct, frozen=True):
    name: str
    parameters: dict[str, Any] | None


class Ask(msgspec.Struct, gc=False):
    """A request without its wire format. `tool` is the tool to call, if one may be called."""

    model: str
    stream: bool
    wants_usage: bool
    max_tokens: int | None
    choices: int
    prompt_tokens: int
    last_user_text: str
    tool: Tool | None


class Plan:
    """The whole answer, known before its first byte is sent; the same request always gives the same plan.

    `pieces` are what one choice generates, one token each; every choice generates the same. When a tool is
    called the pieces are of its arguments, and `calls_of_pieces[k]` is the index of the call piece k belongs to.
    """

    __slots__ = (
        "cached_tokens",
        "calls_of_pieces",
        "choices",
        "completion_tokens",
        "finish_reason",
        "fixed_completion",
        "pieces",
        "prompt_tokens",
        "reasoning_tokens",
        "tool_name",
    )

    def __init__(self, behaviour: Behaviour, ask: Ask) -> None:
        params = behaviour.params
        self.calls_of_pieces: list[int] = []
        self.tool_name: str | None = None
        self.finish_reason: FinishReason = "stop"
        if behaviour.kind == "tool" and ask.tool is not None:
            self.tool_name = ask.tool.name
            self.finish_reason = "tool_calls"
            one_call = _argument_pieces(ask.tool, ask.last_user_text, params.chunks)
            pieces = one_call * params.calls
            self.calls_of_pieces = [index for index in range(params.calls) for _ in one_call]
        elif behaviour.kind == "huge":
            pieces = _huge_pieces(params.kb * 1024, params.chunks)
        else:
            pieces = _echo_pieces(ask.last_user_text, params.chunks)

        reasoning = params.reasoning_tokens
        if ask.max_tokens is not None and reasoning + len(pieces) > ask.max_tokens:
            # Reasoning comes first and counts against the cap, as it does at the vendors.
            reasoning = min(reasoning, ask.max_tokens)
            pieces = pieces[: ask.max_tokens - reasoning]
            self.finish_reason = "length"
        self.pieces = pieces
        self.choices = ask.choices
        self.prompt_tokens = ask.prompt_tokens if params.prompt_tokens is None else params.prompt_tokens
        self.cached_tokens = min(params.cached_tokens, self.prompt_tokens)
        self.fixed_completion = params.completion_tokens
        if self.fixed_completion is None:
            self.completion_tokens = reasoning + len(pieces) * ask.choices
            self.reasoning_tokens = reasoning
        else:
            self.completion_tokens = self.fixed_completion
            self.reasoning_tokens = params.reasoning_tokens

    def tokens_after(self, pieces_done: int) -> int:
        """Completion tokens once that many pieces are out. A fixed figure is spread evenly over the pieces."""
        if pieces_done >= len(self.pieces):
            return self.completion_tokens
        if self.fixed_completion is None:
            return self.reasoning_tokens + pieces_done * self.choices
        return self.completion_tokens * pieces_done // len(self.pieces)

    def text(self) -> str:
        return "".join(self.pieces)

    def tool_arguments(self) -> list[str]:
        """The arguments of each call, cut where the token cap cut them."""
        joined: dict[int, list[str]] = {}
        for index, piece in zip(self.calls_of_pieces, self.pieces, strict=False):
            joined.setdefault(index, []).append(piece)
        return ["".join(parts) for parts in joined.values()]


def _echo_pieces(text: str, chunks: int | None) -> list[str]:
    words = text.split() or ["echo"]
    count = min(len(words), MAX_ECHO_WORDS) if chunks is None else chunks
    if count > len(words):
        words = words * (count // len(words) + 1)
    pieces = [" " + word for word in words[:count]]
    if pieces:
        pieces[0] = pieces[0][1:]
    return pieces


def _huge_pieces(size_bytes: int, chunks: int | None) -> list[str]:
    """One piece of 1 KiB per token unless `chunks` says how many; the text is `size_bytes` long exactly."""
    count = size_bytes // 1024 if chunks is None else min(chunks, size_bytes)
    if count == 0:
        return []
    base, longer = divmod(size_bytes, count)
    return ["x" * (base + (index < longer)) for index in range(count)]


def _argument_pieces(tool: Tool, text: str, chunks: int | None) -> list[str]:
    arguments = orjson.dumps(_example(tool.parameters or {}, text)).decode()
    count = max(1, -(-len(arguments) // _ARGUMENT_PIECE_CHARACTERS) if chunks is None else chunks)
    base, longer = divmod(len(arguments), count)
    pieces = []
    start = 0
    for index in range(count):
        end = start + base + (index < longer)
        pieces.append(arguments[start:end])
        start = end
    return pieces


def _example(schema: dict[str, Any], text: str) -> Any:
    """A value that fits the parts of a JSON schema which tool definitions use; strings are the user's text."""
    if schema.get("enum"):
        return schema["enum"][0]
    match schema.get("type", "object"):
        case "object":
            properties = schema.get("properties", {})
            return {
                name: _example(properties.get(name, {"type": "string"}), text)
                for name in schema.get("required", properties)
            }
        case "array":
            return [_example(schema.get("items", {"type": "string"}), text)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return text
