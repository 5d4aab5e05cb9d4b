"""Which vendors' names mean the same model, who made it, and what it is called. Pure.

Each vendor writes a model's name in its own way. `identity` undoes what is the vendor's, and leaves maker, stem and
date: routes of which these agree run the same model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# What an organisation is called here, by what it is called in a vendor's names.
_MAKERS: Mapping[str, str] = {
    "ai21labs": "ai21",
    "bytedance-seed": "bytedance",
    "deepseek-ai": "deepseek",
    "meta-llama": "meta",
    "meta-models": "meta",
    "minimaxai": "minimax",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "arcee-ai": "arcee",
    "prism-ml": "prism-ml",
    "x-ai": "xai",
    "z-ai": "zai",
    "zai-org": "zai",
}
# For names without an organisation. Longest first where one begins another.
_MAKER_OF_PREFIX = (
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("gemini", "google"),
    ("gemma", "google"),
    ("nova", "amazon"),
    ("llama", "meta"),
    ("muse-", "meta"),
    ("glm", "zai"),
    ("deepseek", "deepseek"),
    ("kimi", "moonshotai"),
    ("qwen", "qwen"),
    ("minimax", "minimax"),
    ("nemotron", "nvidia"),
    ("nvidia", "nvidia"),
    ("mixtral", "mistral"),
    ("inkling", "thinkingmachines"),
    ("trinity", "arcee"),
)
# A vendor whose own models come under bare names.
MAKER_OF_VENDOR: Mapping[str, str] = {
    "openai": "openai",
    "azure": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "vertex-anthropic": "anthropic",
    "bedrock": "amazon",
    "cohere": "cohere",
    "mistral": "mistral",
    "zai": "zai",
    "deepseek": "deepseek",
    "xai": "xai",
    "arcee": "arcee",
}
# Names that no rule makes equal, though they mean the same weights. The right side is the catalogue's name.
_SAME_MODEL: Mapping[str, str] = {
    "claude-opus-4-0": "claude-opus-4",
    "claude-sonnet-4-0": "claude-sonnet-4",
    "codestral-latest": "codestral",
    "gpt-35-turbo": "gpt-3.5-turbo",
    "gpt-35-turbo-16k": "gpt-3.5-turbo-16k",
    "gpt-5.6": "gpt-5.6-sol",
    "chat-latest": "gpt-chat-latest",
    "zai-glm-5-3": "glm-5.3",
    "zai-glm-5-3-flash": "glm-5.3-flash",
    "deepseek-v4-1-flash-1017": "deepseek-v4.1-flash-1017",
    "mistral-large-3": "mistral-large-2512",
    "mistral-large-3-675b-instruct": "mistral-large-2512",
    "mistral-large-4-0": "mistral-large-4",
    "mistral-medium-3-5": "mistral-medium-2604",
    "mistral-medium-3.5": "mistral-medium-2604",
    "mistral-embed-2312": "mistral-embed",
    "codestral-embed-2505": "codestral-embed",
    "ministral-3-3b-2512": "ministral-3b-2512",
    "ministral-3-8b-2512": "ministral-8b-2512",
    "ministral-3-14b-2512": "ministral-14b-2512",
    "ministral-3-3b-instruct": "ministral-3b-2512",
    "ministral-3-8b-instruct": "ministral-8b-2512",
    "ministral-3-14b-instruct": "ministral-14b-2512",
    "devstral-2-123b": "devstral-2512",
    "llama-3.3-70b-versatile": "llama-3.3-70b-instruct",
    "llama-3.1-8b-instant": "llama-3.1-8b-instruct",
    "llama4-maverick-17b-instruct": "llama-4-maverick",
    "llama4-maverick-instruct-basic": "llama-4-maverick",
    "llama-4-maverick-17b-128e-instruct": "llama-4-maverick",
    "llama4-scout-17b-instruct": "llama-4-scout",
    "llama4-scout-instruct-basic": "llama-4-scout",
    "llama-4-scout-17b-16e-instruct": "llama-4-scout",
    "qwen3-vl-235b-a22b-instruct": "qwen3-vl-235b-a22b",
    "muse-spark-open-816b-a42b": "muse-spark-open",
    "qwen3.8-2.4t-a95b": "qwen3.8-max",
    "r1": "deepseek-r1",
    "v3": "deepseek-v3",
    "v3.2": "deepseek-v3.2",
    "embed-english-v3": "embed-english-v3.0",
    "embed-multilingual-v3": "embed-multilingual-v3.0",
}
# How the seed list writes names that no vendor writes so, and other names that people know a model by.
KNOWN_AS: Mapping[str, tuple[str, ...]] = {
    "claude-haiku-4-5": ("Claude Haiku 4.5 20251001", "Claude Haiku 4 5 20251001"),
    "claude-opus-4": ("claude-opus-4-0",),
    "claude-opus-4-1": ("Claude Opus 4.1 20250805", "Claude Opus 4 1 20250805"),
    "claude-opus-4-5": ("Claude Opus 4.5 20251101", "Claude Opus 4 5 20251101"),
    "claude-opus-4-6": ("Claude Opus 4 6",),
    "claude-opus-4-7": ("Claude Opus 4 7",),
    "claude-opus-4-8": ("Claude Opus 4 8",),
    "claude-sonnet-4": ("Claude Sonnet 4 20250514", "claude-sonnet-4-0"),
    "claude-sonnet-4-5": ("Claude Sonnet 4.5 20250929", "Claude Sonnet 4 5 20250929"),
    "claude-sonnet-4-6": ("Claude Sonnet 4 6",),
    "command-a-03-2025": ("Command A 03 2025", "command-a"),
    "command-r-08-2024": ("Command R 08 2024", "command-r"),
    "command-r-plus-08-2024": ("Command R Plus 08 2024", "command-r-plus"),
    "command-r7b-12-2024": ("Command R7B 12 2024", "command-r7b"),
    "nova-2-lite": ("Amazon Nova 2 Lite",),
    "nova-2-sonic": ("Amazon Nova 2 Sonic", "Amazon.Nova 2 Sonic V1:0"),
    "nova-lite": ("Amazon Nova Lite", "Amazon Nova Lite (US Cross-Region)"),
    "nova-micro": ("Amazon Nova Micro", "Amazon Nova Micro (US Cross-Region)"),
    "nova-premier": ("Amazon Nova Premier",),
    "nova-pro": ("Amazon Nova Pro",),
}
_REGION = re.compile(r"^(us|global)\.")
_BEDROCK_VERSION = re.compile(r"(-v?\d+)?:\d+$|-v1$")
_DATE = re.compile(r"[-@](20\d\d)-?([01]\d)-?([0-3]\d)$")
_WORDS: Mapping[str, str] = {
    "gpt": "GPT",
    "glm": "GLM",
    "oss": "OSS",
    "gpt-oss": "gpt-oss",
    "deepseek": "DeepSeek",
    "minimax": "MiniMax",
    "it": "IT",
    "vl": "VL",
}


@dataclass(frozen=True)
class Identity:
    """`stem`: the model's name without a date. `day`: YYYYMMDD of a snapshot, if the name has one."""

    maker: str
    stem: str
    day: str | None = None


def without_profile(bedrock_name: str) -> str:
    return _REGION.sub("", bedrock_name, count=1)


def identity(vendor: str, vendor_model: str) -> Identity:
    name, organisation = vendor_model.lower(), ""
    if vendor == "bedrock":
        organisation, _, name = without_profile(name).partition(".")
        name = _BEDROCK_VERSION.sub("", name)
        name = re.sub(r"^llama3-(?=\d-)", "llama-3.", re.sub(r"^llama3-(?=\d+b)", "llama-3-", name))
    elif vendor in ("vertex", "vertex-anthropic"):
        name = name.removesuffix("@default")
    elif vendor == "fireworks":
        name = re.sub(r"(?<=\d)p(?=\d)", ".", name.rsplit("/", 1)[-1])
        name = re.sub(r"^llama-v(?=\d)", "llama-", name)
    elif "/" in name:
        organisation, _, name = name.partition("/")
    day = None
    if (date := _DATE.search(name)) is not None:
        name, day = name[: date.start()], "".join(date.groups())
    if organisation == "amazon":
        name = name.removesuffix("-v1")
    if name.startswith("claude"):
        name = name.replace(".", "-")
    if vendor == "together" and organisation == "meta-llama":
        name = re.sub(r"-(turbo|fp8)$", "", name.removeprefix("meta-"))
    name = _SAME_MODEL.get(name, name)
    return Identity(_maker(vendor, organisation, name), name, day)


def _maker(vendor: str, organisation: str, name: str) -> str:
    if organisation:
        return _MAKERS.get(organisation, organisation)
    by_prefix = next((maker for prefix, maker in _MAKER_OF_PREFIX if name.startswith(prefix)), None)
    return by_prefix or MAKER_OF_VENDOR.get(vendor, vendor)


def is_careful(published: str) -> bool:
    """Some published names are ids again, or carry remarks in parentheses."""
    return published[:1].isupper() and not re.search(r"[(/]", published)


def display_name(model_id: str, published: str | None) -> str:
    """The published name if it is written with care, else one made of the id: "GPT-4o mini", "Claude Opus 4.8"."""
    if published is not None and is_careful(published):
        return published
    words = re.sub(r"(?<=-\d)-(?=\d{1,2}(-|$))", ".", model_id.rsplit("/", 1)[-1]).split("-")
    if words[0] in ("gpt", "glm") and len(words) > 1 and words[1][:1].isdigit():
        return " ".join([f"{words[0].upper()}-{words[1]}", *words[2:]])
    if model_id.startswith(("gpt-oss", "text-embedding", "o1", "o3", "o4")):
        return model_id
    return " ".join(_WORDS.get(word, word[:1].upper() + word[1:]) for word in words)
