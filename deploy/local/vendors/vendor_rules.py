"""How a real vendor's chat completions differ from OpenAI's documentation, as far as the simulator plays it.

A vendor that is not named here is as strict as OpenAI documents: what it refuses is a mistake of the gateway. Mistral
differs in more than this, and has a wire of its own (mistral_wire.py).
"""

from collections.abc import Mapping

import msgspec


class VendorRules(msgspec.Struct, frozen=True):
    """`extra_fields`: top-level fields of the vendor's own (`thinking`, `top_k`) are taken; what OpenAI documents is
    checked all the same. `reasoning_field`: where the vendor shows what the model thought, beside `content`; None: it
    is charged and not shown. There, and only there, it may come back in later turns. `cache_control`: a text may be
    marked with it."""

    extra_fields: bool = False
    reasoning_field: str | None = None
    cache_control: bool = False


STRICT = VendorRules()
_WITH_FIELDS_OF_ITS_OWN = VendorRules(extra_fields=True)
_SHOWS_REASONING_CONTENT = VendorRules(extra_fields=True, reasoning_field="reasoning_content")
_SHOWS_REASONING = VendorRules(extra_fields=True, reasoning_field="reasoning")
RULES: Mapping[str, VendorRules] = {
    "zai": _SHOWS_REASONING_CONTENT,
    "deepseek": _SHOWS_REASONING_CONTENT,
    "xai": _SHOWS_REASONING_CONTENT,
    "groq": _SHOWS_REASONING,
    "together": _SHOWS_REASONING,
    "fireworks": _SHOWS_REASONING_CONTENT,
    "arcee": _WITH_FIELDS_OF_ITS_OWN,
    "openrouter": VendorRules(extra_fields=True, reasoning_field="reasoning", cache_control=True),
}
