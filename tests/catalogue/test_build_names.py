"""Vendors' names for the same model become one; names of different models stay apart."""

from datetime import date

import pytest

from catalogue_build.facts import Unusable, borrowed, facts_of, window_of
from catalogue_build.genai_data import GenaiModel
from catalogue_build.names import Identity, display_name, identity
from schemas.catalogue import ModelKind

HAIKU = Identity("anthropic", "claude-haiku-4-5", "20251001")


@pytest.mark.parametrize(
    ("vendor", "name", "expected"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", HAIKU),
        ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", HAIKU),
        ("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0", HAIKU),
        ("vertex", "claude-haiku-4-5@20251001", HAIKU),
        ("openrouter", "anthropic/claude-haiku-4.5", Identity("anthropic", "claude-haiku-4-5")),
        ("vertex", "claude-opus-4-8@default", Identity("anthropic", "claude-opus-4-8")),
        ("bedrock", "us.anthropic.claude-opus-4-6-v1", Identity("anthropic", "claude-opus-4-6")),
        ("openai", "gpt-4o-2024-08-06", Identity("openai", "gpt-4o", "20240806")),
        ("openrouter", "openai/gpt-5.2-20251211", Identity("openai", "gpt-5.2", "20251211")),
        ("azure", "gpt-35-turbo", Identity("openai", "gpt-3.5-turbo")),
        ("mistral", "mistral-small-2603", Identity("mistral", "mistral-small-2603")),
        ("mistral", "zai-glm-5-3", Identity("zai", "glm-5.3")),
        ("zai", "glm-5.3", Identity("zai", "glm-5.3")),
        ("together", "zai-org/GLM-5.3", Identity("zai", "glm-5.3")),
        ("fireworks", "accounts/fireworks/models/glm-5p3", Identity("zai", "glm-5.3")),
        ("fireworks", "accounts/fireworks/models/llama-v3p1-8b-instruct", Identity("meta", "llama-3.1-8b-instruct")),
        ("bedrock", "us.meta.llama3-1-8b-instruct-v1:0", Identity("meta", "llama-3.1-8b-instruct")),
        ("bedrock", "meta.llama3-8b-instruct-v1:0", Identity("meta", "llama-3-8b-instruct")),
        ("together", "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", Identity("meta", "llama-3.1-8b-instruct")),
        ("groq", "llama-3.1-8b-instant", Identity("meta", "llama-3.1-8b-instruct")),
        ("groq", "openai/gpt-oss-20b", Identity("openai", "gpt-oss-20b")),
        ("bedrock", "openai.gpt-oss-20b-1:0", Identity("openai", "gpt-oss-20b")),
        ("bedrock", "us.amazon.nova-2-lite-v1:0", Identity("amazon", "nova-2-lite")),
        ("bedrock", "nvidia.nemotron-nano-9b-v2", Identity("nvidia", "nemotron-nano-9b-v2")),
        ("bedrock", "us.deepseek.r1-v1:0", Identity("deepseek", "deepseek-r1")),
    ],
)
def test_identity(vendor: str, name: str, expected: Identity) -> None:
    assert identity(vendor, name) == expected


@pytest.mark.parametrize(
    ("model_id", "published", "expected"),
    [
        ("gpt-4o-mini", "gpt 4o mini", "GPT-4o mini"),
        ("claude-opus-4-8", None, "Claude Opus 4.8"),
        ("glm-5.3", "GLM-5.3", "GLM-5.3"),
        ("gpt-9", "GPT-9 (regional)", "GPT-9"),
        ("gpt-oss-20b", None, "gpt-oss-20b"),
    ],
)
def test_display_names(model_id: str, published: str | None, expected: str) -> None:
    assert display_name(model_id, published) == expected


@pytest.mark.parametrize(
    ("stated", "max_input", "max_output", "tokens", "beaten"),
    [
        (None, 1000, 10, 1000, None),
        (1000, 1000, 10, 1000, None),
        (400_000, 272_000, 128_000, 400_000, None),
        (256_000, 128_000, 128_000, 128_000, 256_000),
        (1_000_000, 1_048_576, 65_536, 1_048_576, 1_000_000),
        (5000, None, None, 5000, None),
    ],
)
def test_windows(
    stated: int | None, max_input: int | None, max_output: int | None, tokens: int, beaten: int | None
) -> None:
    known = GenaiModel("m", {"equals": "m"}, (), context_window=stated)
    window = window_of({"max_input_tokens": max_input, "max_output_tokens": max_output}, known)
    assert window is not None
    assert (window.tokens, window.beaten) == (tokens, beaten)


TODAY = date(2026, 11, 22)


def facts_status(kind: ModelKind = "chat", deprecated: bool = False, **row: object) -> str:
    return facts_of(row, 1000, kind, "v/m", deprecated, TODAY).status


def test_status() -> None:
    assert facts_status() == "active"
    assert facts_status(deprecated=True) == "deprecated"
    assert facts_status(deprecation_date="2026-11-23") == "active"
    assert facts_status(deprecation_date="2026-11-22") == "deprecated"
    with pytest.raises(Unusable):
        facts_status(deprecation_date="2026-01-01")
    assert facts_of({}, 1000, "chat", "v/m-preview", False, TODAY).status == "preview"


def test_an_unknown_longest_answer_is_the_window_and_no_answer_is_longer() -> None:
    assert facts_of({}, 1000, "chat", "v/m", False, TODAY).max_output_tokens == 1000
    assert facts_of({"max_output_tokens": 2000}, 1000, "chat", "v/m", False, TODAY).max_output_tokens == 1000


def test_borrowed_facts_promise_only_what_all_others_can() -> None:
    one = facts_of({"supports_vision": True, "max_output_tokens": 50}, 1000, "chat", "v/m", False, TODAY)
    two = facts_of({"supports_function_calling": True, "supports_vision": True}, 800, "chat", "v/m", False, TODAY)
    shared = borrowed([one, two], None, deprecated=False)
    assert shared is not None
    assert (shared.context_tokens, shared.max_output_tokens) == (800, 50)
    assert shared.capabilities == {"streaming", "vision"}
    assert borrowed([], 1000, deprecated=False) is None
