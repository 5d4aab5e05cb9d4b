"""Token figures out of Anthropic's usage objects. Source: Claude API reference, "Messages" (usage), "Prompt caching".

`input_tokens` leaves out what was read from and written to the cache; `output_tokens` holds the thinking.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.usage import TokenCounts

# No vendor counts so far: figures beyond would be put aside by the billing consumer, and the call go unbilled.
_Count = Annotated[int, Meta(ge=0, le=10**12)] | None


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: _Count = None
    ephemeral_1h_input_tokens: _Count = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: _Count = None


class _Usage(msgspec.Struct):
    input_tokens: _Count = None
    output_tokens: _Count = None
    cache_creation_input_tokens: _Count = None
    cache_read_input_tokens: _Count = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None


_USAGE = msgspec.json.Decoder(_Usage)


class RunningUsage:
    """The figures of one answer. A stream gives them more than once, each time the whole so far; what a later usage
    object leaves out, or says is null, stands as it was."""

    __slots__ = ("_has_output", "_usage")

    def __init__(self) -> None:
        self._usage = _Usage()
        self._has_output = False

    def update(self, usage: msgspec.Raw, *, opening: bool = False) -> None:
        """What cannot be read is passed over. opening: of `message_start`, whose output is not what is charged."""
        try:
            new = _USAGE.decode(usage)
        except msgspec.DecodeError:
            return
        if opening:
            new.output_tokens = None
        for name in _Usage.__struct_fields__:
            value = getattr(new, name)
            if value is not None:
                setattr(self._usage, name, value)
        self._has_output = self._has_output or new.output_tokens is not None

    @property
    def so_far(self) -> TokenCounts | None:
        """With no output before the vendor has counted it; None while not even the input is known."""
        usage = self._usage
        if usage.input_tokens is None:
            return None
        creation = usage.cache_creation or _CacheCreation()
        of_an_hour = creation.ephemeral_1h_input_tokens or 0
        written = usage.cache_creation_input_tokens
        if written is None:
            written = (creation.ephemeral_5m_input_tokens or 0) + of_an_hour
        read = usage.cache_read_input_tokens or 0
        output = usage.output_tokens or 0
        thinking = (usage.output_tokens_details or _OutputDetails()).thinking_tokens or 0
        return TokenCounts(
            input=usage.input_tokens + read + written,
            cached_input=read,
            cache_write=written,
            cache_write_1h=min(of_an_hour, written),
            output=output,
            reasoning=min(thinking, output),
        )

    @property
    def final(self) -> TokenCounts | None:
        """None without a count of the output: then an estimate must do."""
        return self.so_far if self._has_output else None
