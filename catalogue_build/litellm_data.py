"""litellm's published JSON: one row per vendor and model, with windows, limits, capabilities and today's prices.

Prices are USD per token, written as floats; they are read as the decimals that stand there. A row is known by its key,
which is the vendor's own name for the model, mostly behind a prefix.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]

# vendor → (litellm_provider, the key's prefix before the vendor's own name). Keys with more in front of the name (a
# region, a commitment) are other offers under another price, hence "" allows no slash.
_SECTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "openai": (("openai", ""),),
    "azure": (("azure", "azure/"),),
    "anthropic": (("anthropic", ""),),
    "gemini": (("gemini", "gemini/"),),
    "vertex": (("vertex_ai-language-models", ""), ("vertex_ai-embedding-models", "")),
    "vertex-anthropic": (("vertex_ai-anthropic_models", "vertex_ai/"),),
    "bedrock": (("bedrock_converse", ""), ("bedrock", "")),
    "cohere": (("cohere_chat", ""), ("cohere", ""), ("cohere", "cohere/")),
    "mistral": (("mistral", "mistral/"),),
    "zai": (("zai", "zai/"),),
    "deepseek": (("deepseek", "deepseek/"),),
    "xai": (("xai", "xai/"),),
    "groq": (("groq", "groq/"),),
    "together": (("together_ai", "together_ai/"),),
    "fireworks": (("fireworks_ai", "fireworks_ai/"),),
}
_NAMES_WITH_SLASHES = frozenset({"groq", "together", "fireworks"})


def read_rows(source: str) -> dict[str, dict[str, Row]]:
    """vendor → the vendor's own name → row."""
    document: dict[str, Row] = json.loads(source, parse_float=Decimal)
    vendors: dict[str, dict[str, Row]] = {vendor: {} for vendor in _SECTIONS}
    for key, row in document.items():
        for vendor, sections in _SECTIONS.items():
            for provider, prefix in sections:
                name = key.removeprefix(prefix)
                if row.get("litellm_provider") != provider or not key.startswith(prefix):
                    continue
                if "/" not in name or vendor in _NAMES_WITH_SLASHES:
                    vendors[vendor][name] = row
    return vendors


def usd_per_million(row: Row, field: str) -> Decimal | None:
    value = row.get(field)
    return None if value is None else Decimal(value) * 1_000_000
