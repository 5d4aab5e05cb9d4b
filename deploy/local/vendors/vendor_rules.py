"""How a real vendor's chat completions differ from OpenAI's documentation, as far as the simulator plays it.

A vendor that is not named here is as strict as OpenAI documents: what it refuses is a mistake of the gateway.
"""

from collections.abc import Mapping

import msgspec


class VendorRules(msgspec.Struct, frozen=True):
    """`extra_fields`: top-level fields of the vendor's own (`thinking`, `random_seed`) are taken; what OpenAI documents
    is checked all the same. `refused_fields` are answered with 422. `usage_unasked`: in a stream the figures come in
    the chunk that ends it, and there is no chunk for them alone. `reasoning_field`: where the vendor shows what the
    model thought, beside `content`; None: it is charged and not shown."""

    extra_fields: bool = False
    reasoning_field: str | None = None
    refused_fields: frozenset[str] = frozenset()
    usage_unasked: bool = False


STRICT = VendorRules()
_WITH_FIELDS_OF_ITS_OWN = VendorRules(extra_fields=True)
_SHOWS_REASONING_CONTENT = VendorRules(extra_fields=True, reasoning_field="reasoning_content")
_SHOWS_REASONING = VendorRules(extra_fields=True, reasoning_field="reasoning")
_MISTRAL = VendorRules(extra_fields=True, refused_fields=frozenset({"stream_options"}), usage_unasked=True)
RULES: Mapping[str, VendorRules] = {
    "zai": _SHOWS_REASONING_CONTENT,
    "mistral": _MISTRAL,
    "sim-mistral": _MISTRAL,
    "deepseek": _SHOWS_REASONING_CONTENT,
    "xai": _SHOWS_REASONING_CONTENT,
    "groq": _SHOWS_REASONING,
    "together": _SHOWS_REASONING,
    "fireworks": _SHOWS_REASONING_CONTENT,
    "arcee": _WITH_FIELDS_OF_ITS_OWN,
    "openrouter": _SHOWS_REASONING,
}
