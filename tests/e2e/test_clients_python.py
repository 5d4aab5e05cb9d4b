"""Real Python SDKs, unmodified but for URL and key, through real processes: every client API to every vendor format."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.e2e.client_runs import FAMILIES, FIGURES, PYTHON, TOOL_CALLS, WORDS, Job, Run, Runs, model_of, run_all
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


class Api(NamedTuple):
    """One client API as one client speaks it. `errors`: what the client raises for a wrong key, an unknown model, a bad
    request, a rate limit, and a stream that breaks."""

    script: str
    errors: tuple[str, str, str, str, str]
    suffix: str = ""

    def job(self, scenario: str, model: str) -> Job:
        return Job(self.script, scenario + self.suffix, model)


def _sdk(package: str, broken: str) -> tuple[str, str, str, str, str]:
    kinds = ("AuthenticationError", "NotFoundError", "BadRequestError", "RateLimitError")
    wrong_key, unknown, bad, limited = (f"{package}.{kind}" for kind in kinds)
    return wrong_key, unknown, bad, limited, f"{package}.{broken}"


_GOOGLE = ("google.ClientError",) * 4 + ("google.APIError",)
_PYDANTIC = (
    "pydantic_ai.ModelAuthenticationError",
    "pydantic_ai.ModelNotFoundError",
    "pydantic_ai.ModelHTTPError",
    "pydantic_ai.ModelRateLimitError",
    "pydantic_ai.ModelAPIError",
)
CHAT = Api("openai_chat", _sdk("openai", "APIError"))
RESPONSES = Api("openai_responses", _sdk("openai", "APIError"))
MESSAGES = Api("anthropic_messages", _sdk("anthropic", "APIError"))
GEMINI = Api("google_genai", _GOOGLE)
LANGCHAIN_OPENAI = Api("langchain_openai_chat", _sdk("openai", "APIError"))
LANGCHAIN_ANTHROPIC = Api("langchain_anthropic_chat", _sdk("anthropic", "APIError"))
LITELLM = Api("litellm_client", _sdk("litellm", "APIError"), ".openai")
LITELLM_ANTHROPIC = Api("litellm_client", _sdk("litellm", "APIError"), ".anthropic")
PYDANTIC = tuple(
    Api("pydantic_ai_agent", _PYDANTIC, f".{api}") for api in ("openai", "responses", "anthropic", "google")
)
APIS = (
    CHAT,
    RESPONSES,
    MESSAGES,
    GEMINI,
    LANGCHAIN_OPENAI,
    LANGCHAIN_ANTHROPIC,
    LITELLM,
    LITELLM_ANTHROPIC,
    *PYDANTIC,
)


def _everywhere(what: str, *scenarios: str, apis: tuple[Api, ...] = APIS) -> list[Job]:
    return [api.job(scenario, model_of(family, what)) for api in apis for scenario in scenarios for family in FAMILIES]


def _structured(*scenarios: str, apis: tuple[Api, ...]) -> list[Job]:
    """Whether a Claude takes a schema is known of its name."""
    models = [model_of(family, "claude" if family == "anthropic" else "echo") for family in FAMILIES]
    return [api.job(scenario, model) for api in apis for scenario in scenarios for model in models]


PLAIN = _everywhere("echo", "plain")
STREAM = _everywhere("echo", "stream") + _everywhere("echo", "stream_helper", apis=(CHAT, RESPONSES, MESSAGES))
OTHER_PATHS = _everywhere("echo", "other_path", apis=(CHAT, RESPONSES, MESSAGES))
OTHER_PATHS += _everywhere("echo", "bearer", apis=(MESSAGES,))
TOOLS = _everywhere("tools", "tools", "tools_stream")
TOOLS += _everywhere("tools", "tools_by_sdk", apis=(GEMINI,))
TOOLS += _everywhere("tools", "responses_tools", apis=(LANGCHAIN_OPENAI,))
STRUCTURED = _structured("structured", apis=APIS)
BY_TOOL = _structured("structured_by_tool", apis=(LANGCHAIN_OPENAI, LANGCHAIN_ANTHROPIC, *PYDANTIC))
IMAGE = _everywhere("echo", "image")
USAGE = _everywhere("usage", "usage", "usage_stream")
LIMITED = _everywhere("429", "rate_limited")
BROKEN = _everywhere("broken", "broken_stream")
WRONG_KEY = [api.job("bad_key", "sim-gemini-echo") for api in APIS]
UNKNOWN = [api.job("unknown_model", "no-such-model") for api in APIS]
BAD = [api.job("bad_request", "sim-cohere-echo") for api in APIS]
SAMPLING = _everywhere("echo", "sampling", apis=(CHAT, GEMINI))
CAPPED = _everywhere("echo", "capped", apis=(CHAT,))
THINKING_MODELS = ("sim-anthropic-echo", "clients-bedrock-claude", "sim-cohere-echo", "sim-mistral-echo")
THINKING = [
    api.job(scenario, model)
    for model in THINKING_MODELS
    for api, scenario in ((MESSAGES, "reasoning"), (MESSAGES, "reasoning_stream"), (GEMINI, "reasoning"))
]
EMBEDDINGS = [CHAT.job("embeddings", f"sim-{family}embed") for family in ("", "gemini-", "cohere-")]
OTHER_EMBEDDINGS = [
    Job(api.script, "embeddings", job.model) for api in (LANGCHAIN_OPENAI, LITELLM) for job in EMBEDDINGS
]
PREVIOUS = RESPONSES.job("previous_response", "sim-responses-echo")
COUNT = MESSAGES.job("count_tokens", "sim-anthropic-echo")
COUNT_ELSEWHERE = MESSAGES.job("count_tokens", "sim-mistral-echo")
CACHE = MESSAGES.job("cache", "sim-anthropic-echo")
CACHE_ELSEWHERE = [MESSAGES.job("cache", model_of(family, "echo")) for family in FAMILIES if family != "anthropic"]
EXTENSIONS = [CHAT.job("extension", "sim-mistral-echo"), MESSAGES.job("extension", "sim-mistral-echo")]
EXTENSION_HEADERS = CHAT.job("extension_headers", "sim-mistral-echo")
GEMINI_EXTENSION = GEMINI.job("extension", "sim-mistral-echo")
MODELS = CHAT.job("models", "sim-cohere-echo")
ANTHROPIC_MODELS = MESSAGES.job("models", "sim-cohere-echo")
RETRIED = [CHAT.job("retried", "clients-comes-back"), MESSAGES.job("retried", "clients-comes-back-anthropic")]

JOBS = [
    *PLAIN,
    *STREAM,
    *OTHER_PATHS,
    *TOOLS,
    *STRUCTURED,
    *BY_TOOL,
    *IMAGE,
    *USAGE,
    *LIMITED,
    *BROKEN,
    *WRONG_KEY,
    *UNKNOWN,
    *BAD,
    *SAMPLING,
    *CAPPED,
    *THINKING,
    *EMBEDDINGS,
    *OTHER_EMBEDDINGS,
    PREVIOUS,
    COUNT,
    COUNT_ELSEWHERE,
    CACHE,
    *CACHE_ELSEWHERE,
    *EXTENSIONS,
    EXTENSION_HEADERS,
    GEMINI_EXTENSION,
    MODELS,
    ANTHROPIC_MODELS,
    *RETRIED,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runs(stack: Stack) -> Runs:
    if not PYTHON.exists():
        reason = "the client SDKs are not installed: make .venv/clients.stamp"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    scripts = {job.script for job in JOBS}
    return await run_all(stack, {name: [str(PYTHON), "-m", f"tests.clients.python.{name}"] for name in scripts}, JOBS)
