"""Real npm SDKs, unmodified but for URL and key, through real processes: every client API to every vendor format."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client_checks import (
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
from tests.e2e.client_runs import (
    FAMILIES,
    NODE_FOLDER,
    REPOSITORY,
    Job,
    Runs,
    each,
    model_of,
    must_be_there,
    run_all,
)
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

SCRIPTS = ("openai_sdk", "anthropic_sdk", "ai_sdk")
# The AI SDK has one class for all that a server refuses, and tells of a broken stream by a callback, with no class.
ERRORS = {"ai_sdk": dict.fromkeys(("wrong_key", "unknown", "bad", "limited"), "APICallError") | {"broken": "Error"}}
_OFFICIAL = {
    "wrong_key": "AuthenticationError",
    "unknown": "NotFoundError",
    "bad": "BadRequestError",
    "limited": "RateLimitError",
    "broken": "APIError",
}


def _everywhere(what: str, *scenarios: str, scripts: tuple[str, ...] = SCRIPTS) -> list[Job]:
    return [
        Job(script, each, model_of(family, what)) for script in scripts for each in scenarios for family in FAMILIES
    ]


PLAIN = _everywhere("echo", "plain") + _everywhere("echo", "responses", scripts=("openai_sdk",))
PLAIN += _everywhere("echo", "other_path", scripts=("anthropic_sdk",))
STREAM = _everywhere("echo", "stream") + _everywhere("echo", "responses_stream", scripts=("openai_sdk",))
TOOLS = _everywhere("tools", "tools", "tools_stream")
TOOLS += _everywhere("tools", "tools_by_sdk", scripts=("openai_sdk", "anthropic_sdk"))
TOOLS += _everywhere("tools", "responses_tools", scripts=("openai_sdk",))
# Whether a Claude takes a schema is known of its name.
_STRUCTURED_MODELS = [model_of(family, "claude" if family == "anthropic" else "echo") for family in FAMILIES]
STRUCTURED = [Job(script, "structured", model) for script in SCRIPTS for model in _STRUCTURED_MODELS]
STRUCTURED += [Job("openai_sdk", "responses_structured", model) for model in _STRUCTURED_MODELS]
IMAGE = _everywhere("echo", "image")
USAGE = _everywhere("usage", "usage", "usage_stream")
LIMITED = _everywhere("429", "rate_limited")
BROKEN = _everywhere("broken", "broken_stream")
WRONG_KEY = [Job(script, "bad_key", "sim-gemini-echo") for script in SCRIPTS]
UNKNOWN = [Job(script, "unknown_model", "no-such-model") for script in SCRIPTS]
BAD = [Job(script, "bad_request", "sim-cohere-echo") for script in SCRIPTS]
THINKING_MODELS = [model_of(family, "echo") for family in ("anthropic", "gemini", "cohere", "mistral")]
THINKING_MODELS += [model_of("bedrock", "claude")]
THINKING = [Job("anthropic_sdk", "reasoning_stream", model) for model in THINKING_MODELS]
EMBEDDINGS = [
    Job(script, "embeddings", f"sim-{family}embed")
    for script in ("openai_sdk", "ai_sdk")
    for family in ("", "gemini-", "cohere-")
]
COUNT = Job("anthropic_sdk", "count_tokens", "sim-anthropic-echo")
MODELS = Job("openai_sdk", "models", "sim-cohere-echo")
JOBS = [
    *(PLAIN + STREAM + TOOLS + STRUCTURED + IMAGE + USAGE + LIMITED + BROKEN),
    *(WRONG_KEY + UNKNOWN + BAD + THINKING + EMBEDDINGS),
    COUNT,
    MODELS,
]


@pytest.fixture(scope="module")
def scripts() -> Iterator[Path]:
    """The scripts beside the packages that they import: node looks for these above the script's own folder."""
    must_be_there(shutil.which("node") is not None, "node")
    must_be_there((NODE_FOLDER / "node_modules").is_dir(), "npm client SDKs: make .venv/clients.stamp")
    with tempfile.TemporaryDirectory(dir=NODE_FOLDER) as folder:
        for script in (REPOSITORY / "tests" / "clients" / "node").glob("*.mjs"):
            shutil.copy(script, folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def runs(stack: Stack, scripts: Path) -> Runs:
    commands = {script: ["node", str(scripts / f"{script}.mjs")] for script in SCRIPTS}
    return asyncio.run(run_all(stack, commands, JOBS))


def error_of(job: Job, what: str) -> str:
    return ERRORS.get(job.script, _OFFICIAL)[what]


@each(PLAIN)
def test_plain(runs: Runs, job: Job) -> None:
    check_plain(runs, runs.of(job))


@each(STREAM)
def test_stream(runs: Runs, job: Job) -> None:
    assert runs.of(job).ok()["text"] == WORDS


@each(TOOLS)
def test_two_tools_at_once(runs: Runs, job: Job) -> None:
    check_tool_loop(runs, runs.of(job))


@each(STRUCTURED)
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
    check_rate_limited(runs.of(job), error_of(job, "limited"))


@each(BROKEN)
def test_a_stream_that_breaks_is_no_answer(runs: Runs, job: Job) -> None:
    check_broken_stream(runs.of(job), error_of(job, "broken"))


@each(WRONG_KEY)
def test_a_wrong_key(runs: Runs, job: Job) -> None:
    check_refused(runs.of(job), error_of(job, "wrong_key"), 401)


@each(UNKNOWN)
def test_an_unknown_model(runs: Runs, job: Job) -> None:
    check_refused(runs.of(job), error_of(job, "unknown"), 404, "no-such-model")


@each(BAD)
def test_a_bad_request_names_the_field(runs: Runs, job: Job) -> None:
    check_refused(runs.of(job), error_of(job, "bad"), 400, "temperature")


@each(THINKING)
def test_thoughts_are_shown(runs: Runs, job: Job) -> None:
    assert runs.of(job).ok()["thoughts"] == [f"Thinking about: {WORDS}"]


@each(EMBEDDINGS)
def test_embeddings(runs: Runs, job: Job) -> None:
    run = runs.of(job)
    seen = run.ok()
    assert len(seen["lengths"]) == 2
    assert seen["input"] == 5
    runs.check_costs(run)


def test_tokens_are_counted_where_the_vendor_counts(runs: Runs) -> None:
    assert runs.of(COUNT).ok() == {"input": 3}


def test_models(runs: Runs) -> None:
    assert runs.of(MODELS).ok() == {"listed": True, "one": "sim-cohere-echo"}
