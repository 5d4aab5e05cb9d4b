"""Which routes there could be: each vendor's own names for models, from both sources. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from catalogue_build.genai_data import GenaiModel, GenaiProvider, find_model
from catalogue_build.litellm_data import Row
from schemas.catalogue import ModelKind

# vendor → its name in genai-prices. In the order in which a model's routes are tried, after its maker's own vendor.
VENDORS: Mapping[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "zai": "zai",
    "azure": "azure",
    "groq": "groq",
    "together": "together",
    "fireworks": "fireworks",
    "bedrock": "aws",
    "vertex": "google",
    "vertex-anthropic": "google",
    "mistral": "mistral",
    "arcee": "arcee",
    "openrouter": "openrouter",
}
# Vendors of which genai-prices knows models that litellm does not, under the vendor's own names. Its rows of other
# vendors carry retired models and other vendors' spellings too, so there a name must stand in litellm.
_LISTED_BY_GENAI = ("zai", "fireworks", "arcee", "openrouter")
# Names that neither source spells out, though both know the model: (vendor, name, the name that has the facts).
_SPELLED_OUT = (
    # Withdrawn from litellm; Anthropic names them so, and genai-prices prices them.
    ("anthropic", "claude-opus-4-20250514", None),
    ("anthropic", "claude-opus-4-1-20250805", None),
    ("anthropic", "claude-sonnet-4-20250514", None),
    # Can be called through its inference profile only; litellm has it under its bare name.
    ("bedrock", "us.amazon.nova-premier-v1:0", "amazon.nova-premier-v1:0"),
)
# Names in the sources that the vendor itself does not have, or that mean another model from time to time, so that the
# sources tell their price differently.
_LEFT_OUT = frozenset(
    {("deepseek", "deepseek-v3.2"), ("deepseek", "deepseek-r1"), ("azure", "ada"), ("mistral", "mistral-medium")}
)
_SPEECH = ("amazon.nova-2-sonic-v1:0",)
_NO_CHAT = re.compile(
    r"audio|realtime|-tts|transcri|whisper|-live|image|-ocr|moderation|guard|^ft:|container|search|computer-use"
    r"|deep-research|robotics|omni|voice|model-router|^medlm|rerank|embedding-exp|multimodalembedding"
)
_BEDROCK_PROFILE = re.compile(r"(us|eu|apac|au|jp|in|ca|us-gov|global)\.")


@dataclass(frozen=True)
class Candidate:
    """`row`: what litellm says; None where it is silent. `model`: what genai-prices says."""

    vendor: str
    vendor_model: str
    kind: ModelKind
    model: GenaiModel
    row: Row | None
    region: str | None = None
    withdrawn: bool = False


def candidates(providers: Mapping[str, GenaiProvider], rows: Mapping[str, Mapping[str, Row]]) -> Iterator[Candidate]:
    """Every route that both can be called by this gateway and is known to genai-prices, in the order of VENDORS."""
    for vendor, provider_id in VENDORS.items():
        for name, row, withdrawn in _names(vendor, providers[provider_id], rows.get(vendor, {})):
            kind = _kind(vendor, name, row)
            model = find_model(providers, provider_id, name)
            if kind is not None and model is not None:
                region = _region(name) if vendor == "bedrock" else None
                yield Candidate(vendor, name, kind, model, row, region, withdrawn)


def _names(vendor: str, provider: GenaiProvider, rows: Mapping[str, Row]) -> Iterator[tuple[str, Row | None, bool]]:
    names: dict[str, tuple[Row | None, bool]] = {name: (row, False) for name, row in rows.items()}
    for owner, spelled, facts in _SPELLED_OUT:
        if owner == vendor:
            names[spelled] = (rows[facts] if facts else None, facts is None)
    if vendor in _LISTED_BY_GENAI:
        for model in provider.models:
            own = _own_name(vendor, model)
            if own is not None:
                names.setdefault(own, (None, False))
    for name, (row, withdrawn) in sorted(names.items(), key=lambda item: item[0]):
        if (vendor, name) not in _LEFT_OUT and (vendor != "bedrock" or _is_called_so(name, names)):
            yield name, row, withdrawn


def _own_name(vendor: str, model: GenaiModel) -> str | None:
    """The name to send. Z.ai's own names are in lower case; Fireworks' stand in the match only, the id being short."""
    if vendor == "fireworks":
        clauses = [model.match] if "equals" in model.match else model.match.get("or_", [])
        return next((str(clause["equals"]) for clause in clauses if "equals" in clause), None)
    if vendor == "openrouter":
        # Behind a colon come variants (free, batch); a tilde is a name that moves from model to model.
        return model.model_id if "/" in model.model_id and not re.search(r"[:~]", model.model_id) else None
    return model.model_id.lower() if vendor == "zai" else model.model_id


def _is_called_so(name: str, names: Mapping[str, object]) -> bool:
    """All names there begin with the maker's. Bedrock sells one model under several inference profiles: of these "us."
    and "global." are taken, which a caller in the United States can use, and the bare name where there is no profile.
    Others answer from their own region only: an operator there writes them in a file of their own."""
    profile = _BEDROCK_PROFILE.match(name)
    if "." not in name.split("-")[0]:
        return False
    if profile is not None:
        return profile[0] in ("us.", "global.")
    return f"us.{name}" not in names and f"global.{name}" not in names


def _region(name: str) -> str | None:
    profile = _BEDROCK_PROFILE.match(name)
    return None if profile is None else profile[0].rstrip(".")


def _kind(vendor: str, name: str, row: Row | None) -> ModelKind | None:
    """None for what no wire format here can ask for."""
    if name in _SPEECH:
        return "speech"
    mode = "chat" if row is None else row.get("mode")
    if mode == "embedding":
        # Bedrock's embeddings are asked for in another way than its Converse API's models.
        return None if vendor == "bedrock" or "multimodal" in name else "embeddings"
    if _NO_CHAT.search(name.lower()) or (row is None and "embed" in name.lower()):
        return None
    endpoints = (row or {}).get("supported_endpoints")
    if mode != "chat" or (endpoints and "/v1/chat/completions" not in endpoints):
        return None
    return "chat"
