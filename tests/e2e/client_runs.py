"""Runs the scripts of real clients against a stack, each in a process of its own, and keeps what they saw."""

import asyncio
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.stack import Stack

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv" / "clients" / "bin" / "python"
NODE_FOLDER = REPOSITORY / ".venv" / "clients-node"
RUN_S = 240.0
"""More than any script needs; one that hangs is killed then, and fails its tests."""

FAMILIES = ("responses", "compat", "anthropic", "gemini", "bedrock", "cohere", "mistral")
"""The simulated vendors: OpenAI itself (both of its APIs), one that is only compatible with it, and the others."""


def model_of(family: str, what: str) -> str:
    """A model of the simulator's own catalogue, or of clients_catalogue.toml."""
    ours = family == "compat" or what in ("usage", "broken", "claude")
    return f"clients-{family}-{what}" if ours else f"sim-{family}-{what}"


class Job(NamedTuple):
    script: str
    scenario: str
    model: str


@dataclass(frozen=True)
class Run:
    """What one job saw. `answers`: what the gateway's headers said, for each of its HTTP answers."""

    job: Job
    seen: dict[str, Any] | None = None
    raised: dict[str, Any] | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)

    def ok(self) -> dict[str, Any]:
        assert self.raised is None, f"{self.job}: {self.raised}"
        assert self.seen is not None, f"{self.job}: the script ended before it"
        return self.seen

    def error(self) -> dict[str, Any]:
        assert self.raised is not None, f"{self.job}: nothing was raised; {self.seen}"
        return self.raised


class Runs:
    """All runs of a module's scripts, and the simulator's ledger as it was after them."""

    def __init__(self, runs: Iterable[Run], ledger: Sequence[dict[str, Any]]) -> None:
        self._runs = {run.job: run for run in runs}
        self._calls: dict[str, list[dict[str, Any]]] = {}
        for call in ledger:
            request_id = str(call["request_id_header"] or "").partition(".")[0]
            self._calls.setdefault(request_id, []).append(call)

    def of(self, job: Job) -> Run:
        return self._runs.get(job, Run(job))

    def calls(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """What reached the vendors for an answer."""
        return self._calls.get(str(answer["request_id"]), [])

    def check_costs(self, run: Run) -> None:
        """The cost in the headers of each plain answer is the vendor's own, to the last digit."""
        for answer in run.answers:
            if answer["cost-usd"] is not None:
                calls = self.calls(answer)
                assert calls, f"{run.job}: no vendor knows {answer}"
                assert Decimal(answer["cost-usd"]) == sum(Decimal(call["cost_usd"]) for call in calls), run.job

    def check_usage(self, run: Run, usage: dict[str, Any]) -> None:
        """The figures that an SDK shows are those of the ledger. None: the format has no place for that figure."""
        ledger = {"input": "prompt_tokens", "output": "completion_tokens", "cached": "cached_tokens"}
        ledger |= {"reasoning": "reasoning_tokens", "written": "cache_write_tokens"}
        (call,) = self.calls(run.answers[-1])
        for name, column in ledger.items():
            if name in ("input", "output") or usage.get(name):
                assert usage[name] == call[column], f"{run.job}: {name}"
        if usage.get("total") is not None:
            assert usage["total"] == call["prompt_tokens"] + call["completion_tokens"], run.job


def must_be_there(condition: bool, what: str) -> None:
    """Skips the test on a machine that has not got it; CI has everything."""
    if not condition:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have {what}")
        pytest.skip(f"there is no {what}")


def each(jobs: Sequence[Job]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("job", jobs, ids=["-".join(job) for job in jobs])


async def run_all(stack: Stack, commands: dict[str, list[str]], jobs: Sequence[Job]) -> Runs:
    """Every script with all of its jobs, at once. `commands` by script."""
    by_script: dict[str, list[Job]] = {}
    for job in jobs:
        by_script.setdefault(job.script, []).append(job)
    found = await asyncio.gather(*(_run(stack, commands[script], todo) for script, todo in by_script.items()))
    ledger = await asyncio.to_thread(stack.ledger)
    return Runs([run for runs in found for run in runs], ledger)


async def _run(stack: Stack, command: list[str], jobs: list[Job]) -> list[Run]:
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", "/"),
        "TOLLHOUSE_URL": stack.api_url,
        "TOLLHOUSE_KEY": stack.api_key,
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
        env=environ,
    )
    lines = "".join(json.dumps({"scenario": job.scenario, "model": job.model}) + "\n" for job in jobs)
    try:
        async with asyncio.timeout(RUN_S):
            out, errors = await process.communicate(lines.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"not done within {RUN_S} s: {' '.join(command)}") from None
    assert process.returncode == 0, f"{' '.join(command)}: {errors.decode(errors='replace')[-3000:]}"
    script = jobs[0].script
    return [_read(script, line) for line in out.decode().splitlines() if line.startswith("{")]


def _read(script: str, line: str) -> Run:
    said = json.loads(line)
    job = Job(script, said["scenario"], said["model"])
    return Run(job, said.get("seen"), said.get("raised"), said["answers"])
