"""What HEAD says of cost before the answer, and what is refused before any vendor hears of it."""

import msgspec
import pytest

from schemas.failures import FailureKind
from tests.fakes.vendors import route
from tests.fakes.worker_stack import ask, worker_stack


@pytest.mark.parametrize("estimated", [False, True])
async def test_a_plain_answers_cost_is_told_with_its_head(estimated: bool) -> None:
    async with worker_stack("echo:no_usage" if estimated else "echo") as stack:
        await stack.serve(ask(stream=False))
        await stack.ingress.over()
        [head], [attempt] = stack.ingress.heads, stack.kafka.attempts()
        assert (head.cost_pico_usd, head.estimated) == (attempt.cost_pico_usd, estimated)


async def test_the_cost_of_failed_attempts_is_in_it_and_marks_it() -> None:
    async with worker_stack("garbage", "echo") as stack:
        await stack.serve(ask(stream=False))
        await stack.ingress.over()
        [head], attempts = stack.ingress.heads, stack.kafka.attempts()
        assert [attempt.estimated for attempt in attempts] == [True, False]
        assert head.cost_pico_usd == sum(attempt.cost_pico_usd for attempt in attempts)
        assert head.estimated


async def test_a_streams_cost_is_not_known_with_its_head() -> None:
    async with worker_stack("echo:no_usage") as stack:
        await stack.serve(ask(stream=True))
        await stack.ingress.over()
        assert (stack.ingress.heads[0].cost_pico_usd, stack.ingress.heads[0].estimated) == (None, False)
        assert stack.ingress.ends[0].estimated


async def test_what_lies_at_a_vendor_is_refused_without_a_call() -> None:
    content = [{"type": "file", "file": {"file_id": "file-1"}}]
    async with worker_stack("echo") as stack:
        await stack.serve(ask(messages=[{"role": "user", "content": content}]))
        await stack.ingress.over()
        [error] = stack.ingress.errors
        assert (error.kind, error.param) == (FailureKind.INVALID_REQUEST, "messages[0].content[0].file.file_id")
        assert stack.vendors.calls() == []


@pytest.mark.parametrize("vendor_model", ["echo", "status:code=500", "garbage"])
async def test_counting_tokens_costs_nothing_whatever_becomes_of_it(vendor_model: str) -> None:
    async with worker_stack(route("sim-anthropic", vendor_model)) as stack:
        body = b'{"model":"m","messages":[{"role":"user","content":"one two"}]}'
        await stack.serve(body, surface="anthropic.count_tokens")
        await stack.ingress.over()
        [attempt], [claim] = stack.kafka.attempts(), stack.ingress.claims
        assert (attempt.failure is None) == (vendor_model == "echo")
        assert attempt.cost_pico_usd == 0
        # Also what the ingress would report, were this worker lost.
        [lost] = msgspec.json.decode(bytes(claim.if_lost))["attempts"]
        assert lost["cost_pico_usd"] == 0
