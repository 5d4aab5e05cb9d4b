"""Token figures out of an OpenAI-like usage object, under whichever names the vendor writes them."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from router_worker.vendors.json_fields import NULL
from schemas.usage import TokenCounts

# No vendor counts so far: figures beyond would be put aside by the billing consumer, and the call go unbilled.
_Count = Annotated[int, Meta(ge=0, le=10**12)] | None


class _InputDetails(msgspec.Struct):
    cached_tokens: _Count = None
    cache_write_tokens: _Count = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: _Count = None


class _Usage(msgspec.Struct):
    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    # DeepSeek's own name for cached tokens.
    prompt_cache_hit_tokens: _Count = None
    # Some servers write cached tokens beside the others.
    cached_tokens: _Count = None


_USAGE = msgspec.json.Decoder(_Usage)
_NO_INPUT_DETAILS = _InputDetails()
_NO_OUTPUT_DETAILS = _OutputDetails()


def find_tokens(candidates: Iterable[msgspec.Raw], *, reasoning_apart: bool) -> TokenCounts | None:
    """The figures of the first usage object among the candidates (JSON, maybe null) that has any; None if none has.

    reasoning_apart: the vendor's completion_tokens lacks the reasoning tokens, which it charges as output.
    """
    for candidate in candidates:
        if bytes(candidate) == NULL:
            continue
        try:
            usage = _USAGE.decode(candidate)
        except msgspec.DecodeError:
            continue
        if usage.prompt_tokens is not None and usage.completion_tokens is not None:
            return _tokens(usage, usage.prompt_tokens, usage.completion_tokens, reasoning_apart=reasoning_apart)
    return None


def _tokens(usage: _Usage, prompt: int, completion: int, *, reasoning_apart: bool) -> TokenCounts:
    details = usage.prompt_tokens_details or _NO_INPUT_DETAILS
    reasoning = (usage.completion_tokens_details or _NO_OUTPUT_DETAILS).reasoning_tokens or 0
    caches = (details.cached_tokens, usage.prompt_cache_hit_tokens, usage.cached_tokens)
    # The total tells on which side the reasoning stands, so a vendor that changes its ways is not counted twice.
    if reasoning_apart and usage.total_tokens != prompt + completion:
        completion += reasoning
    return TokenCounts(
        input=prompt,
        cached_input=next((count for count in caches if count is not None), 0),
        cache_write=details.cache_write_tokens or 0,
        output=completion,
        reasoning=reasoning,
    )
