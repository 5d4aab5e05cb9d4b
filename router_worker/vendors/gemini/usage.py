"""Token figures out of Google's usageMetadata. Format: Gemini API reference, "UsageMetadata".

promptTokenCount includes cachedContentTokenCount; candidatesTokenCount does not include the thoughts, which are charged
as output; what Google's own tools brought in stands apart and is charged as input. A count of nought is left out.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.usage import TokenCounts

# No vendor counts so far: figures beyond would be put aside by the billing consumer, and the call go unbilled.
_Count = Annotated[int, Meta(ge=0, le=10**12)] | None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: _Count = None
    tool_use_prompt_token_count: _Count = None
    cached_content_token_count: _Count = None
    candidates_token_count: _Count = None
    thoughts_token_count: _Count = None


_USAGE = msgspec.json.Decoder(_Usage)


def read_tokens(usage: msgspec.Raw) -> TokenCounts | None:
    """None without a prompt's count, or if the figures cannot be read."""
    try:
        found = _USAGE.decode(usage)
    except (msgspec.DecodeError, RecursionError):
        return None
    if found.prompt_token_count is None:
        return None
    reasoning = found.thoughts_token_count or 0
    return TokenCounts(
        input=found.prompt_token_count + (found.tool_use_prompt_token_count or 0),
        cached_input=found.cached_content_token_count or 0,
        output=(found.candidates_token_count or 0) + reasoning,
        reasoning=reasoning,
    )
