"""A request without its wire format: what any vendor has to know of it in order to answer."""

from typing import Any, Literal

import msgspec

Task = Literal["generate", "count", "embed"]
Reasoning = Literal["none", "hidden", "shown"]


class Tool(msgspec.Struct, frozen=True):
    """`parameters` is the JSON schema of the arguments."""

    name: str
    parameters: dict[str, Any] | None


class Ask(msgspec.Struct, gc=False, kw_only=True):
    """Every wire fills in what its format can say; the rest keeps its default.

    task: "generate" answers with text; "embed" answers with a vector for each of `texts`, charged for the prompt alone;
    "count" only counts `prompt_tokens`, and costs nothing.
    prompt_tokens: all of the input (words; an image or file counts NON_TEXT_PART_TOKENS), cached or not.
    cache_write_tokens, cache_write_1h_tokens: the part of them that the request asks to be kept, for minutes and for an
    hour. What the model name says is read from the cache is not written again.
    tools: those that may be called now: empty where tools are barred. `tool_required`: one of them has to be called.
    tool_results: the texts of the results with which the conversation ends; an answer then quotes them and calls no
    tool.
    schema: the JSON schema that the answer has to fit ({} for any object); None for plain text.
    reasoning: "hidden" is charged, not sent. `reasoning_cap` in tokens.
    images, documents: how many the whole conversation holds; the answer says how many it saw.
    extra: a wire's own note to itself.
    """

    model: str
    prompt_tokens: int
    task: Task = "generate"
    stream: bool = False
    wants_usage: bool = True
    max_tokens: int | None = None
    choices: int = 1
    last_user_text: str = ""
    tools: tuple[Tool, ...] = ()
    tool_required: bool = False
    parallel_tools: bool = True
    tool_results: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    reasoning: Reasoning = "none"
    reasoning_cap: int | None = None
    images: int = 0
    documents: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    texts: tuple[str, ...] = ()
    dimensions: int | None = None
    extra: Any = None


# An image, sound or file counts as this many prompt tokens, whatever its size.
NON_TEXT_PART_TOKENS = 85


def count_words(text: str) -> int:
    """Prompt tokens of a text."""
    return len(text.split())
