"""What a vendor is, as data. Everything in which vendors of one wire format differ stands here."""

from typing import Literal

import msgspec

from schemas.failures import FailureKind

Wire = Literal["openai"]
CapField = Literal["max_tokens", "max_completion_tokens"]
StreamUsage = Literal["asked", "always"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults are what most OpenAI-compatible servers take.

    cap_field: the vendor's one name for the cap on output tokens; a cap under the other name is renamed, because a
    vendor that ignores unknown fields would otherwise run uncapped.
    stream_usage: "asked" if usage comes only with `stream_options.include_usage`; "always" if it comes anyway and the
    vendor refuses the field.
    renamed, dropped: fields of the client's body that the vendor calls otherwise, or refuses, or prices otherwise.
    reasoning_apart: completion_tokens does not include the reasoning tokens.
    kind_of_status: where the vendor's use of an HTTP status differs from the common one.
    """

    cap_field: CapField = "max_tokens"
    stream_usage: StreamUsage = "asked"
    renamed: dict[str, str] = {}
    dropped: frozenset[str] = frozenset()
    reasoning_apart: bool = False
    kind_of_status: dict[int, FailureKind] = {}


class VendorRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`base_url` without a slash at its end. `api_key_env` None: the vendor takes no key. `key_header` with
    `key_prefix` before the key is how the key is sent."""

    name: str
    base_url: str
    api_key_env: str | None
    wire: Wire = "openai"
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    quirks: Quirks = Quirks()
