"""What a model name means: `NAME[:key=value]...`.

Known names are behaviours (`status:code=500`); any other name answers like `echo`, so that every model of a
catalogue works. A segment without `=` belongs to the name (`amazon.nova-2-lite-v1:0`), except the flag `no_usage`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal[
    "echo",
    "status",
    "never",
    "hang-after",
    "break-after",
    "slow-headers",
    "garbage",
    "error-in-stream",
    "tool",
    "huge",
    "flaky",
    "context-length",
    "bad-key",
]

_COMMON = frozenset(
    {
        "chunks",
        "gap_ms",
        "ttft_ms",
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "reasoning_tokens",
        "no_usage",
    }
)
# Parameters that a behaviour has beside the common ones.
_OWN: dict[Kind, frozenset[str]] = {
    "echo": frozenset(),
    "status": frozenset({"code", "retry_after_s"}),
    "never": frozenset(),
    "hang-after": frozenset(),
    "break-after": frozenset(),
    "slow-headers": frozenset({"delay_ms"}),
    "garbage": frozenset(),
    "error-in-stream": frozenset(),
    "tool": frozenset({"calls"}),
    "huge": frozenset({"kb"}),
    "flaky": frozenset({"every", "code", "retry_after_s"}),
    "context-length": frozenset(),
    "bad-key": frozenset(),
}
KINDS = tuple(_OWN)

# After how many chunks the fault comes, when `chunks` does not say.
_DEFAULT_CHUNKS: dict[Kind, int] = {"hang-after": 3, "break-after": 3, "error-in-stream": 2}
_FLAGS = frozenset({"no_usage"})

_Tokens = Annotated[int, Meta(ge=0, le=100_000_000)]
_Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
_ErrorStatus = Annotated[int, Meta(ge=400, le=599)]


class BehaviourError(ValueError):
    """The model name is malformed; the message says where."""


class Params(msgspec.Struct, frozen=True):
    """Parameters as written in a model name; None means: computed from the request.

    `prompt_tokens`, `cached_tokens`, `cache_write_tokens`, `cache_write_1h_tokens`, `completion_tokens` and
    `reasoning_tokens` fix the figure that is reported and charged, even against the caller's own token cap: so a vendor
    that oversteps can be had too.
    """

    chunks: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    gap_ms: _Milliseconds = 0
    ttft_ms: _Milliseconds = 0
    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None
    cached_tokens: _Tokens = 0
    cache_write_tokens: _Tokens | None = None
    cache_write_1h_tokens: _Tokens | None = None
    reasoning_tokens: _Tokens = 0
    no_usage: bool = False
    code: _ErrorStatus = 500
    retry_after_s: Annotated[int, Meta(ge=0)] | None = None
    delay_ms: _Milliseconds = 5000
    calls: Annotated[int, Meta(ge=1, le=64)] = 1
    kb: Annotated[int, Meta(ge=1, le=65_536)] = 512
    every: Annotated[int, Meta(ge=1)] = 3


class Behaviour(msgspec.Struct, frozen=True):
    """`name` is the model's name without parameters, under which it is priced; times are in seconds."""

    name: str
    kind: Kind
    params: Params
    ttft_s: float
    gap_s: float


def parse_behaviour(model: str) -> Behaviour:
    """Raises BehaviourError for an unknown parameter or a value out of range."""
    segments = model.split(":")
    name_parts = [segments[0]]
    raw: dict[str, object] = {}
    for segment in segments[1:]:
        key, equals, value = segment.partition("=")
        if equals:
            if key in raw:
                raise BehaviourError(f"parameter {key!r} is given twice")
            raw[key] = value
        elif segment in _FLAGS:
            raw[segment] = True
        elif raw:
            raise BehaviourError(f"{segment!r} is not key=value")
        else:
            name_parts.append(segment)
    name = ":".join(name_parts)
    known = next((kind for kind in KINDS if kind == name_parts[0]), None)
    if known is not None and len(name_parts) > 1:
        raise BehaviourError(f"{name_parts[1]!r} is not key=value")
    kind: Kind = known or "echo"
    unknown = raw.keys() - _COMMON - _OWN[kind]
    if unknown:
        raise BehaviourError(f"{kind!r} has no parameter {min(unknown)!r}")
    if "chunks" not in raw and kind in _DEFAULT_CHUNKS:
        raw["chunks"] = _DEFAULT_CHUNKS[kind]
    try:
        params = msgspec.convert(raw, Params, strict=False)
    except msgspec.ValidationError as invalid:
        raise BehaviourError(str(invalid).replace("$.", "")) from None
    cache = params.cached_tokens + (params.cache_write_tokens or 0) + (params.cache_write_1h_tokens or 0)
    if params.prompt_tokens is not None and cache > params.prompt_tokens:
        raise BehaviourError("cached_tokens and cache writes are a part of prompt_tokens and cannot be more")
    if params.completion_tokens is not None and params.reasoning_tokens > params.completion_tokens:
        raise BehaviourError("reasoning_tokens is a part of completion_tokens and cannot be more")
    return Behaviour(name, kind, params, params.ttft_ms / 1000, params.gap_ms / 1000)
