"""The second route's answer, and both attempts in ClickHouse with the failed one's reason."""

from decimal import Decimal

import pytest

from tests.e2e.stack import Stack, ask

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("model", "streaming", "failure", "status"),
    [
        ("e2e-500-then-ok", False, "vendor_error", 500),
        ("e2e-500-then-ok", True, "vendor_error", 500),
        # Two models, because a rate-limited route is tried last for a while.
        ("e2e-429-then-ok", False, "vendor_rate_limited", 429),
        ("e2e-429-then-ok-streaming", True, "vendor_rate_limited", 429),
        ("e2e-never-then-ok", False, "vendor_first_byte_timeout", None),
        ("e2e-never-then-ok", True, "vendor_first_byte_timeout", None),
    ],
)
async def test_fallback(stack: Stack, model: str, streaming: bool, failure: str, status: int | None) -> None:
    # Given a model whose first route fails, when it is asked, then the second route answers.
    answer = await ask(stack, model, streaming=streaming)
    assert answer.status == 200
    assert "hello" in answer.text

    first, second = stack.billed(answer.request_id, 2)
    assert (first["outcome"], first["failure"], first["status"]) == ("failed", failure, status)
    assert (second["vendor"], second["outcome"], second["estimated"]) == ("sim-b", "completed", False)

    ledger = {call["request_id_header"]: call for call in stack.ledger_of(answer.request_id)}
    assert set(ledger) == {first["attempt_id"], second["attempt_id"]}
    assert Decimal(second["cost_usd"]) == Decimal(ledger[second["attempt_id"]]["cost_usd"])
    assert Decimal(first["cost_usd"]) >= Decimal(ledger[first["attempt_id"]]["cost_usd"])

    request = stack.requests(answer.request_id)[0]
    assert (request["status"], request["attempts"], request["vendor"]) == (200, 2, "sim-b")
