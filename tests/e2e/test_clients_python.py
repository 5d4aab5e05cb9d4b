"""Real Python SDKs, unmodified but for URL and key, through real processes: every client API to every vendor format."""

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.e2e.client_runs import FAMILIES, FIGURES, PYTHON, TOOL_CALLS, WORDS, Job, Runs, model_of, run_all
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


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


@pytest.fixture(scope="module")
def runs(stack: Stack) -> Runs:
    if not PYTHON.exists():
        reason = "the client SDKs are not installed: make .venv/clients.stamp"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    commands = {api.script: [str(PYTHON), "-m", f"tests.clients.python.{api.script}"] for api in APIS}
    return asyncio.run(run_all(stack, commands, JOBS))


def each(jobs: Sequence[Job]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("job", jobs, ids=["-".join(job) for job in jobs])


def api_of(job: Job) -> Api:
    return next(api for api in APIS if api.script == job.script and job.scenario.endswith(api.suffix))


@each(PLAIN)
def test_plain(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    seen = run.ok()
    assert seen["text"] == WORDS
    assert seen.get("served") in (None, job.model)
    runs.check_costs(run)


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
    """The model asks for both, the client runs them, and the answer quotes what they said."""
    run = runs.of(job)
    seen = run.ok()
    assert seen["calls"] == TOOL_CALLS
    assert f"sunny in {WORDS}" in seen["text"]
    assert f"noon in {WORDS}" in seen["text"]
    runs.check_costs(run)


@each([*STRUCTURED, *BY_TOOL])
def test_structured_output(runs: Runs, job: Job) -> None:
    assert runs.of(job).ok()["parsed"] == {"city": WORDS, "days": 1}


@each(IMAGE)
def test_image(runs: Runs, job: Job) -> None:
    assert runs.of(job).ok()["text"] == f"saw 1 image: {WORDS}"


@each(USAGE)
def test_usage_is_the_vendors(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    usage = run.ok()["usage"]
    given = {name: tokens for name, tokens in usage.items() if tokens or name in ("input", "output")}
    assert given == {name: FIGURES[name] for name in given}
    assert "cached" in given, "every vendor's format has a place for it"
    if run.answers:
        runs.check_usage(run, usage)
        runs.check_costs(run)


@each(LIMITED)
def test_a_vendors_rate_limit(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    error = run.error()
    assert api_of(job).errors[3] in error["types"]
    assert error["status"] == 429
    assert error["retry_after"] == "1"


@each(BROKEN)
def test_a_stream_that_breaks_is_no_answer(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    assert api_of(job).errors[4] in run.error()["types"]
    assert all(answer["status"] == 200 for answer in run.answers), "it was to break after its beginning"


@each(WRONG_KEY)
def test_a_wrong_key(runs: Runs, job: Job) -> None:
    error = runs.of(job).error()
    assert api_of(job).errors[0] in error["types"]
    assert error["status"] == 401


@each(UNKNOWN)
def test_an_unknown_model(runs: Runs, job: Job) -> None:
    error = runs.of(job).error()
    assert api_of(job).errors[1] in error["types"]
    assert error["status"] == 404
    assert "no-such-model" in error["message"]


@each(BAD)
def test_a_bad_request_names_the_field(runs: Runs, job: Job) -> None:
    error = runs.of(job).error()
    assert api_of(job).errors[2] in error["types"]
    assert error["status"] == 400
    assert "temperature" in error["message"]


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
    assert runs.of(ANTHROPIC_MODELS).ok() == {"listed": True, "one": "sim-cohere-echo"}
