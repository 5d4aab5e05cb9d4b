"""What a vendor is, as data. Everything in which vendors of one wire format differ stands here."""

from typing import Literal

import msgspec

from schemas.failures import FailureKind

Wire = Literal["openai", "anthropic", "anthropic_vertex", "gemini", "gemini_vertex", "bedrock", "cohere"]
Auth = Literal["key", "aws", "google"]
CapField = Literal["max_tokens", "max_completion_tokens"]
StreamUsage = Literal["asked", "always"]
ReasoningField = Literal["effort", "thinking", "thinking_and_effort", "object", "none"]
ThoughtsField = Literal["reasoning_content", "reasoning", "thinking_parts"]
DocumentPart = Literal["file", "document_url"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults are what most OpenAI-compatible servers take.

    cap_field: the vendor's one name for the cap on output tokens; a cap under the other name is renamed, because a
    vendor that ignores unknown fields would otherwise run uncapped.
    stream_usage: "asked" if usage comes only with `stream_options.include_usage`; "always" if it comes anyway and the
    vendor refuses the field.
    renamed, dropped: fields of the client's body that the vendor calls otherwise, or refuses, or prices otherwise.
    reasoning_apart: completion_tokens does not include the reasoning tokens.
    responses: the vendor offers OpenAI's Responses API besides chat completions.
    kind_of_status: where the vendor's use of an HTTP status differs from the common one.

    Of chat, passed through or not:
    tool_choice_required: the vendor's word for "call some tool".
    short_tool_call_ids: ids of calls must be nine letters or digits; others are replaced, the same by the same.
    fim_path: a request with a `suffix` is one to fill in the middle, and goes there.

    Of embeddings:
    embeddings_renamed: as `renamed`.

    Only of requests that are translated, because a client of this API says these things itself:
    reasoning: how the vendor is told how much to think. "effort": `reasoning_effort`; "thinking": `thinking.type`, on
    or off; "object": OpenRouter's `reasoning`; "none": not at all.
    thoughts: where what the model thought in earlier turns goes back to it; None: the vendor wants nothing of it.
    documents: how a PDF is put into a message.
    top_k, cache_control: whether the vendor takes these fields.
    prefix_field: marks a last assistant's message as the beginning of the answer.
    after_tool_results: an assistant's text put between tool results and a user's message, for a vendor that refuses
    the one right after the other.
    """

    cap_field: CapField = "max_tokens"
    stream_usage: StreamUsage = "asked"
    renamed: dict[str, str] = {}
    dropped: frozenset[str] = frozenset()
    reasoning_apart: bool = False
    kind_of_status: dict[int, FailureKind] = {}
    responses: bool = False
    tool_choice_required: str = "required"
    short_tool_call_ids: bool = False
    fim_path: str | None = None
    embeddings_renamed: dict[str, str] = {}
    reasoning: ReasoningField = "effort"
    thoughts: ThoughtsField | None = None
    documents: DocumentPart = "file"
    top_k: bool = False
    cache_control: bool = False
    prefix_field: str | None = None
    after_tool_results: str | None = None


class VendorRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`base_url` without a slash at its end. `api_key_env` None: the vendor takes no key. `key_header` with
    `key_prefix` before the key is how the key is sent.

    auth: "key" sends `api_key_env`'s value; "aws" does so too if there is one (a Bedrock API key), and else signs with
    the usual AWS variables; "google" sends access tokens of the service account in GOOGLE_APPLICATION_CREDENTIALS.
    region: for what is signed. `{NAME}` in `base_url` and `region` stands for a value from the environment, or from a
    mounted file; without it the vendor cannot be called.
    """

    name: str
    base_url: str
    api_key_env: str | None
    wire: Wire = "openai"
    auth: Auth = "key"
    region: str | None = None
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    quirks: Quirks = Quirks()
