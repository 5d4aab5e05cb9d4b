"""How a real vendor's chat completions differ from OpenAI's documentation, as far as the simulator plays it.

A vendor that is not named here is as strict as OpenAI documents: what it refuses is a mistake of the gateway.
"""

from collections.abc import Mapping

import msgspec


class VendorRules(msgspec.Struct, frozen=True):
    """`extra_fields`: top-level fields of the vendor's own (`thinking`, `random_seed`) are taken; what OpenAI documents
    is checked all the same. `refused_fields` are answered with 422. `usage_unasked`: in a stream the figures come in
    the chunk that ends it, and there is no chunk for them alone."""

    extra_fields: bool = False
    refused_fields: frozenset[str] = frozenset()
    usage_unasked: bool = False


STRICT = VendorRules()
_WITH_FIELDS_OF_ITS_OWN = VendorRules(extra_fields=True)
RULES: Mapping[str, VendorRules] = {
    "zai": _WITH_FIELDS_OF_ITS_OWN,
    "mistral": VendorRules(extra_fields=True, refused_fields=frozenset({"stream_options"}), usage_unasked=True),
    "deepseek": _WITH_FIELDS_OF_ITS_OWN,
    "xai": _WITH_FIELDS_OF_ITS_OWN,
    "groq": _WITH_FIELDS_OF_ITS_OWN,
    "together": _WITH_FIELDS_OF_ITS_OWN,
    "fireworks": _WITH_FIELDS_OF_ITS_OWN,
    "arcee": _WITH_FIELDS_OF_ITS_OWN,
    "openrouter": _WITH_FIELDS_OF_ITS_OWN,
}
