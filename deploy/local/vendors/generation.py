"""What is generated for a request: pieces of thinking, text or tool arguments, and token figures. No I/O, no wire."""

from typing import Literal

import msgspec
import orjson

from deploy.local.vendors.ask import Ask, Tool
from deploy.local.vendors.behaviour import Behaviour, Params
from deploy.local.vendors.schema_example import example

FinishReason = Literal["stop", "stop_sequence", "length", "tool_calls"]
BlockKind = Literal["thinking", "text", "tool"]

# Without `chunks`, a long prompt is echoed only in part: load tests with large prompts do not want large answers.
MAX_ECHO_WORDS = 256
_ARGUMENT_PIECE_CHARACTERS = 8
_MAX_THINKING_WORDS = 8


class Block(msgspec.Struct, frozen=True):
    """A stretch of pieces of one kind: `pieces[first:end]`, never empty. `number` counts all blocks, `call` the tool
    calls (from 0; -1 for what is no tool call)."""

    kind: BlockKind
    number: int
    first: int
    end: int
    tool_name: str = ""
    call: int = -1


class Plan:
    """The whole answer, known before its first byte is sent; the same request always gives the same plan.

    `pieces` are what one choice generates, one token each; every choice generates the same. `blocks` says what they
    are: thinking first (if it is shown), then either text or one block for each tool call. A cap on tokens may leave
    the last block unfinished, the arguments of a tool call too.
    `prompt_tokens` contains `cached_tokens` and both cache writes; `completion_tokens` contains `reasoning_tokens`.
    """

    __slots__ = (
        "_hidden_tokens",
        "_shown_pieces",
        "block_of_pieces",
        "blocks",
        "cache_write_1h_tokens",
        "cache_write_tokens",
        "cached_tokens",
        "choices",
        "completion_tokens",
        "finish_reason",
        "fixed_completion",
        "pieces",
        "prompt_tokens",
        "reasoning_tokens",
        "stop_sequence",
    )

    def __init__(self, behaviour: Behaviour, ask: Ask) -> None:
        params = behaviour.params
        self.finish_reason: FinishReason = "stop"
        self.stop_sequence: str | None = None
        thinking: list[str] = []
        reasoning = params.reasoning_tokens
        parts: list[tuple[str, list[str]]] = []
        if ask.task == "generate":
            thinking, reasoning = _thinking(params, ask)
            parts = self._parts(behaviour, ask)
        count = sum(len(pieces) for _, pieces in parts)
        if ask.max_tokens is not None and reasoning + count > ask.max_tokens:
            # Reasoning comes first and counts against the cap, as it does at the vendors.
            reasoning = min(reasoning, ask.max_tokens)
            thinking = thinking[:reasoning]
            parts = _cut(parts, ask.max_tokens - reasoning)
            self.finish_reason = "length"
            self.stop_sequence = None
        self.pieces: list[str] = []
        self.blocks: list[Block] = []
        self.block_of_pieces: list[int] = []
        self._add("thinking", thinking)
        for call, (name, pieces) in enumerate(parts):
            self._add("tool" if name else "text", pieces, name, call if name else -1)
        self._shown_pieces = len(thinking)
        self._hidden_tokens = reasoning - len(thinking)
        self.choices = ask.choices
        self._settle_input(params, ask)
        self._settle_output(params, ask, reasoning)

    def _parts(self, behaviour: Behaviour, ask: Ask) -> list[tuple[str, list[str]]]:
        """Tool calls by name, or one nameless part, the text."""
        params = behaviour.params
        said = _words_to_say(ask)
        if ask.tools and not ask.tool_results and (ask.tool_required or behaviour.kind == "tool"):
            self.finish_reason = "tool_calls"
            called = [ask.tools[index % len(ask.tools)] for index in range(params.calls if ask.parallel_tools else 1)]
            return [(tool.name, _argument_pieces(tool, said, params.chunks)) for tool in called]
        if behaviour.kind == "huge":
            return [("", _huge_pieces(params.kb * 1024, params.chunks))]
        if ask.schema is not None:
            return [("", _json_pieces(orjson.dumps(example(ask.schema, said)).decode(), params.chunks))]
        pieces = _echo_pieces(said, params.chunks)
        text = "".join(pieces)
        found = [(text.index(stop), stop) for stop in ask.stop if stop and stop in text]
        if found:
            length, self.stop_sequence = min(found)
            self.finish_reason = "stop_sequence"
            pieces = _first_characters(pieces, length)
        return [("", pieces)]

    def _add(self, kind: BlockKind, pieces: list[str], tool_name: str = "", call: int = -1) -> None:
        if pieces:
            number, first = len(self.blocks), len(self.pieces)
            self.blocks.append(Block(kind, number, first, first + len(pieces), tool_name, call))
            self.block_of_pieces += [number] * len(pieces)
            self.pieces += pieces

    def _settle_input(self, params: Params, ask: Ask) -> None:
        self.prompt_tokens = ask.prompt_tokens if params.prompt_tokens is None else params.prompt_tokens
        self.cached_tokens = read = min(params.cached_tokens, self.prompt_tokens)
        long, short = ask.cache_write_1h_tokens, ask.cache_write_tokens
        # What is kept for an hour stands before what is kept for minutes, so it is read first.
        long_left = max(0, long - read)
        short_left = max(0, short - max(0, read - long))
        wanted_long = params.cache_write_1h_tokens if params.cache_write_1h_tokens is not None else long_left
        wanted_short = params.cache_write_tokens if params.cache_write_tokens is not None else short_left
        self.cache_write_1h_tokens = min(wanted_long, self.prompt_tokens - read)
        self.cache_write_tokens = min(wanted_short, self.prompt_tokens - read - self.cache_write_1h_tokens)

    def _settle_output(self, params: Params, ask: Ask, reasoning: int) -> None:
        self.fixed_completion = params.completion_tokens if ask.task == "generate" else None
        if ask.task != "generate":
            self.completion_tokens = self.reasoning_tokens = self._hidden_tokens = 0
        elif self.fixed_completion is None:
            self.completion_tokens = reasoning + (len(self.pieces) - self._shown_pieces) * ask.choices
            self.reasoning_tokens = reasoning
        else:
            self.completion_tokens = self.fixed_completion
            self.reasoning_tokens = params.reasoning_tokens or min(reasoning, self.fixed_completion)

    def tokens_after(self, pieces_done: int) -> int:
        """Completion tokens once that many pieces are out. A fixed figure is spread evenly over the pieces."""
        if pieces_done >= len(self.pieces):
            return self.completion_tokens
        if self.fixed_completion is None:
            thought = min(pieces_done, self._shown_pieces)
            return self._hidden_tokens + thought + (pieces_done - thought) * self.choices
        return self.completion_tokens * pieces_done // len(self.pieces)

    def block_at(self, index: int) -> Block:
        """The block of a piece."""
        return self.blocks[self.block_of_pieces[index]]

    def starts_block(self, index: int) -> bool:
        return self.block_at(index).first == index

    def ends_block(self, index: int) -> bool:
        return self.block_at(index).end == index + 1

    def text_of(self, block: Block) -> str:
        """All of a block: its text, its thinking, or the JSON of its arguments (cut where the token cap cut it)."""
        return "".join(self.pieces[block.first : block.end])

    def all_of(self, kind: BlockKind) -> list[Block]:
        return [block for block in self.blocks if block.kind == kind]

    def text(self) -> str:
        return "".join(self.text_of(block) for block in self.blocks if block.kind == "text")

    def thinking(self) -> str:
        return "".join(self.text_of(block) for block in self.blocks if block.kind == "thinking")


def _words_to_say(ask: Ask) -> str:
    """The user's words again, after what was seen of images and files; or what the tools brought."""
    if ask.tool_results:
        return "The tools answered: " + ", ".join(f'"{result}"' for result in ask.tool_results)
    seen = [
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((ask.images, "image"), (ask.documents, "document"))
        if count
    ]
    return f"saw {' and '.join(seen)}: {ask.last_user_text}" if seen else ask.last_user_text


def _thinking(params: Params, ask: Ask) -> tuple[list[str], int]:
    """Pieces of thinking that are shown, and how many tokens of reasoning there are in all."""
    if ask.reasoning == "none":
        return [], params.reasoning_tokens
    words = f"Thinking about: {ask.last_user_text}".split()[:_MAX_THINKING_WORDS]
    count = params.reasoning_tokens or len(words)
    if ask.reasoning_cap is not None:
        count = min(count, ask.reasoning_cap)
    return (_echo_pieces(" ".join(words), count) if ask.reasoning == "shown" else []), count


def _cut(parts: list[tuple[str, list[str]]], count: int) -> list[tuple[str, list[str]]]:
    left = []
    for name, pieces in parts:
        left.append((name, pieces[:count]))
        count = max(0, count - len(pieces))
    return left


def _first_characters(pieces: list[str], length: int) -> list[str]:
    left = []
    for piece in pieces:
        if length <= 0:
            break
        left.append(piece[:length])
        length -= len(piece)
    return left


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
    return _json_pieces(orjson.dumps(example({"type": "object", **(tool.parameters or {})}, text)).decode(), chunks)


def _json_pieces(json_text: str, chunks: int | None) -> list[str]:
    count = max(1, -(-len(json_text) // _ARGUMENT_PIECE_CHARACTERS) if chunks is None else chunks)
    base, longer = divmod(len(json_text), count)
    pieces = []
    start = 0
    for index in range(count):
        end = start + base + (index < longer)
        pieces.append(json_text[start:end])
        start = end
    return pieces
