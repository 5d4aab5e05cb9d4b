"""Real Python SDKs, unmodified but for URL and key, through real processes: every client API to every vendor format."""

import asyncio
from typing import NamedTuple

import pytest

from tests.e2e.client_checks import (
    TOOL_CALLS,
    WORDS,
    check_broken_stream,
    check_image,
    check_plain,
    check_rate_limited,
    check_refused,
    check_structured,
    check_tool_loop,
    check_usage,
)
from tests.e2e.client_runs import FAMILIES, PYTHON, Job, Runs, each, model_of, must_be_there, run_all
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


class Errors(NamedTuple):
    """The classes that a client raises for each."""

    wrong_key: str
    unknown: str
    bad: str
    limited: str
    broken: str


class Api(NamedTuple):
    """One client API as one client speaks it. `suffix`: of its scenarios' names, where a script speaks several."""

    script: str
    errors: Errors
    suffix: str = ""

    def job(self, scenario: str, model: str) -> Job:
        return Job(self.script, scenario + self.suffix, model)


def _sdk(package: str, broken: str) -> Errors:
    kinds = ("AuthenticationError", "NotFoundError", "BadRequestError", "RateLimitError", broken)
    return Errors(*(f"{package}.{kind}" for kind in kinds))


_GOOGLE = Errors(*("google.ClientError",) * 4, "google.APIError")
_PYDANTIC = Errors(
    wrong_key="pydantic_ai.ModelAuthenticationError",
    unknown="pydantic_ai.ModelNotFoundError",
    bad="pydantic_ai.ModelHTTPError",
    limited="pydantic_ai.ModelRateLimitError",
    broken="pydantic_ai.ModelAPIError",
)
CHAT = Api("openai_chat", _sdk("openai", "APIError"))
RESPONSES = Api("openai_responses", _sdk("openai", "APIError"))
MESSAGES = Api("anthropic_messages", _sdk("anthropic", "APIError"))
GEMINI = Api("google_genai", _GOOGLE)
LANGCHAIN_OPENAI = Api("langchain_openai_chat", _sdk("openai", "APIError"))
LANGCHAIN_ANTHROPIC = Api("langchain_anthropic_chat", _sdk("anthropic", "APIError"))
LITELLM = Api("litellm_client", _sdk("litellm", "MidStreamFallbackError"), ".openai")
LITELLM_ANTHROPIC = Api("litellm_client", _sdk("litellm", "MidStreamFallbackError"), ".anthropic")
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
TOOLS += _everywhere("tools", "tools_by_sdk", apis=(GEMINI, MESSAGES))
TOOLS += _everywhere("tools", "responses_tools", apis=(LANGCHAIN_OPENAI,))
# pydantic-ai asks Anthropic for a schema only where it knows the model's name.
STRUCTURED = _structured("structured", apis=tuple(api for api in APIS if api != PYDANTIC[2]))
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
THINKING_MODELS = tuple(model_of(family, "echo") for family in ("anthropic", "gemini", "cohere", "mistral"))
THINKING_MODELS += (model_of("bedrock", "claude"),)
THINKING = [
    api.job(scenario, model)
    for model in THINKING_MODELS
    for api, scenario in ((MESSAGES, "reasoning"), (MESSAGES, "reasoning_stream"), (GEMINI, "reasoning"))
]
SIGNED = [api.job("signed_tools", "clients-gemini-3") for api in (CHAT, RESPONSES, MESSAGES, GEMINI)]
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
    *SIGNED,
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


@pytest.fixture(scope="module")
def runs(stack: Stack) -> Runs:
    must_be_there(PYTHON.exists(), "environment of the client SDKs: make .venv/clients.stamp")
    commands = {api.script: [str(PYTHON), "-m", f"tests.clients.python.{api.script}"] for api in APIS}
    return asyncio.run(run_all(stack, commands, JOBS))


def errors_of(job: Job) -> Errors:
    return next(api.errors for api in APIS if api.script == job.script and job.scenario.endswith(api.suffix))


@each(PLAIN)
def test_plain(runs: Runs, job: Job) -> None:
    check_plain(runs, runs.of(job))


@each(STREAM)
def test_stream(runs: Runs, job: Job) -> None:
    assert runs.of(job).ok()["text"] == WORDS


@each(OTHER_PATHS)
def test_other_paths_and_keys(runs: Runs, job: Job) -> None:
    assert runs.of(job).ok()["text"] == WORDS


def test_a_responses_stream_numbers_its_events(runs: Runs) -> None:
    for family in FAMILIES:
        seen = runs.of(RESPONSES.job("stream", model_of(family, "echo"))).ok()
        assert seen["numbers"] == list(range(len(seen["numbers"])))
        assert seen["kinds"][0] == "response.created"
        assert seen["kinds"][-1] == "response.completed"
        assert seen["deltas"] == WORDS


def test_a_messages_stream_has_its_events_in_order(runs: Runs) -> None:
    for family in FAMILIES:
        seen = runs.of(MESSAGES.job("stream", model_of(family, "echo"))).ok()
        kinds = [kind for kind in seen["kinds"] if kind != "ping"]
        assert kinds[:2] == ["message_start", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert seen["finish"] == ["end_turn"]


@each(TOOLS)
def test_two_tools_at_once(runs: Runs, job: Job) -> None:
    check_tool_loop(runs, runs.of(job))


@each([*STRUCTURED, *BY_TOOL])
def test_structured_output(runs: Runs, job: Job) -> None:
    check_structured(runs.of(job))


@each(IMAGE)
def test_image(runs: Runs, job: Job) -> None:
    check_image(runs.of(job))


@each(USAGE)
def test_usage_is_the_vendors(runs: Runs, job: Job) -> None:
    check_usage(runs, runs.of(job))


@each(LIMITED)
def test_a_vendors_rate_limit(runs: Runs, job: Job) -> None:
    check_rate_limited(runs.of(job), errors_of(job).limited)


@each(BROKEN)
def test_a_stream_that_breaks_is_no_answer(runs: Runs, job: Job) -> None:
    check_broken_stream(runs.of(job), errors_of(job).broken)


@each(WRONG_KEY)
def test_a_wrong_key(runs: Runs, job: Job) -> None:
    check_refused(runs.of(job), errors_of(job).wrong_key, 401)


@each(UNKNOWN)
def test_an_unknown_model(runs: Runs, job: Job) -> None:
    check_refused(runs.of(job), errors_of(job).unknown, 404, "no-such-model")


@each(BAD)
def test_a_bad_request_names_the_field(runs: Runs, job: Job) -> None:
    check_refused(runs.of(job), errors_of(job).bad, 400, "temperature")


@each(RETRIED)
def test_a_client_comes_back_after_a_rate_limit(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    assert run.ok()["texts"] == [WORDS, WORDS]
    assert [answer["status"] for answer in run.answers] == [200, 429, 200]


@each(SAMPLING)
def test_what_all_formats_can_say_arrives(runs: Runs, job: Job) -> None:
    seen = runs.of(job).ok()
    assert seen["text"].strip() == "hello there", "the stop sequence is `world`"
    assert seen["finish"] in ("stop", "STOP")


@each(CAPPED)
def test_a_cap_ends_the_answer(runs: Runs, job: Job) -> None:
    seen = runs.of(job).ok()
    assert (seen["text"], seen["finish"]) == ("hello there", "length")


@each(THINKING)
def test_thoughts_are_shown_and_may_come_back(runs: Runs, job: Job) -> None:
    seen = runs.of(job).ok()
    assert seen["thoughts"] == [f"Thinking about: {WORDS}"]
    assert seen["text"] == WORDS
    assert seen.get("second", "and now") == "and now"


@each(SIGNED)
def test_calls_that_a_vendor_signed_go_back_to_it(runs: Runs, job: Job) -> None:
    """Gemini 3 refuses its own calls without their signatures."""
    seen = runs.of(job).ok()
    assert seen["calls"] == TOOL_CALLS[:1]
    assert f"sunny in {WORDS}" in seen["text"]
    assert all(seen.get("signed", ()))


@each(EMBEDDINGS)
def test_embeddings(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    seen = run.ok()
    assert seen["indexes"] == [0, 1]
    assert seen["numbers"]
    assert seen["differ"] < 1e-6, "packed and written out, they are the same"
    assert seen["short"] == 256
    assert seen["served"] == job.model
    assert seen["usage"] == {"input": 5, "total": 5}
    runs.check_costs(run)


@each(OTHER_EMBEDDINGS)
def test_embeddings_of_other_clients(runs: Runs, job: Job) -> None:
    assert len(runs.of(job).ok()["lengths"]) == 2


def test_an_earlier_response_is_refused_by_name(runs: Runs) -> None:
    error = runs.of(PREVIOUS).error()
    assert "openai.BadRequestError" in error["types"]
    assert error["param"] == "previous_response_id"


def test_tokens_are_counted_where_the_vendor_counts(runs: Runs) -> None:
    assert runs.of(COUNT).ok() == {"input": 3}
    assert "anthropic.BadRequestError" in runs.of(COUNT_ELSEWHERE).error()["types"]


def test_cache_marks_reach_anthropic(runs: Runs) -> None:
    run = runs.of(CACHE)
    assert run.ok()["usage"]["written"] == 3
    runs.check_costs(run)


@each(CACHE_ELSEWHERE)
def test_cache_marks_are_dropped_by_name_elsewhere(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    assert run.ok()["text"] == WORDS
    assert run.answers[0]["dropped"] == "cache_control"


@each(EXTENSIONS)
def test_extension_fields(runs: Runs, job: Job) -> None:
    """Of the three models in order, only the third has the vendor that was asked for."""
    run = runs.of(job)
    seen = run.ok()
    (answer,) = run.answers
    assert seen["text"] == WORDS
    assert (answer["model"], answer["vendor"], answer["attempts"]) == ("sim-bedrock-echo", "sim-bedrock", "1")
    assert int(answer["overhead-ms"]) >= 0
    metadata = seen["metadata"]
    assert (metadata["model"], metadata["vendor"]) == ("sim-bedrock-echo", "sim-bedrock")
    assert metadata["cost_usd"] == answer["cost-usd"]
    assert metadata["request_id"] == answer["request_id"]


def test_extension_headers(runs: Runs) -> None:
    run = runs.of(EXTENSION_HEADERS)
    assert run.ok()["metadata"]["vendor"] == "sim-cohere"
    assert run.answers[0]["model"] == "sim-cohere-echo"


def test_extension_fields_of_gemini(runs: Runs) -> None:
    run = runs.of(GEMINI_EXTENSION)
    assert run.ok()["text"] == WORDS
    assert run.answers[0]["vendor"] == "sim-bedrock"


def test_tags_and_customer_are_billed(runs: Runs, stack: Stack) -> None:
    (answer,) = runs.of(EXTENSIONS[0]).answers
    (row,) = stack.billed(str(answer["request_id"]), 1)
    assert row["tags"] == {"team": "search"}
    assert row["customer_id"] == "acme"


def test_models(runs: Runs) -> None:
    seen = runs.of(MODELS).ok()
    assert seen == {"listed": True, "listed_too": True, "owned_by": "simulator", "vendors": ["sim-cohere"]}
    assert runs.of(ANTHROPIC_MODELS).ok() == {"listed": True, "listed_too": True, "one": "sim-cohere-echo"}
