"""What every client has to have seen, whatever its language and its API."""

from typing import Any

from tests.e2e.client_runs import Run, Runs

WORDS = "hello there world"
TOOL_CALLS = [["get_weather", {"city": WORDS}], ["get_time", {"city": WORDS}]]
FIGURES = {"input": 1000, "output": 50, "total": 1050, "cached": 300, "reasoning": 20, "written": 200}
"""What the models `*-usage` of clients_catalogue.toml report; not every vendor's format has a place for all of them."""


def check_plain(runs: Runs, run: Run) -> None:
    seen = run.ok()
    assert seen["text"] == WORDS
    assert seen.get("served") in (None, run.job.model)
    runs.check_costs(run)


def check_tool_loop(runs: Runs, run: Run) -> None:
    """The model asked for both tools, the client ran them, and the answer quotes what they said."""
    seen = run.ok()
    assert seen["calls"] == TOOL_CALLS
    assert f"sunny in {WORDS}" in seen["text"]
    assert f"noon in {WORDS}" in seen["text"]
    runs.check_costs(run)


def check_structured(run: Run) -> None:
    assert run.ok()["parsed"] == {"city": WORDS, "days": 1}


def check_image(run: Run) -> None:
    assert run.ok()["text"] == f"saw 1 image: {WORDS}"


def check_usage(runs: Runs, run: Run) -> None:
    """The figures that the SDK shows are the vendor's, and so is the cost."""
    usage = run.ok()["usage"]
    given = {name: tokens for name, tokens in usage.items() if tokens or name in ("input", "output")}
    assert given == {name: FIGURES[name] for name in given}
    assert "cached" in given, "every vendor's format has a place for it"
    if run.answers:
        runs.check_usage(run, usage)
        runs.check_costs(run)


def check_refused(run: Run, kind: str, status: int, word: str = "") -> dict[str, Any]:
    """`kind`: one of the classes of what was raised. `word`: stands in its message."""
    error = run.error()
    assert kind in error["types"]
    assert error["status"] == status
    assert word in error["message"]
    return error


def check_rate_limited(run: Run, kind: str) -> None:
    assert check_refused(run, kind, 429)["retry_after"] == "1"


def check_broken_stream(run: Run, kind: str) -> None:
    assert kind in run.error()["types"]
    assert all(answer["status"] == 200 for answer in run.answers), "it was to break after its beginning"
