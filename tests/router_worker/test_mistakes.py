"""A mistake of ours in one request: its client hears of it at once, and nobody else suffers."""

import msgspec
import pytest

from router_worker.canonical.reasoning import budget_tokens
from router_worker.canonical.request import Reasoning
from router_worker.usable_vendor import UsableVendor
from router_worker.vendors.openai.chat import OpenAiChat
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import VendorCall, VendorRequest
from router_worker.ways import SURFACES, ways_of
from schemas.failures import Failure
from tests.fakes.waiting import until
from tests.fakes.worker_stack import ask, worker_stack


class _Mistake(Exception):
    pass


async def test_a_mistake_before_the_claim_does_not_leave_the_client_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def build_request(self: OpenAiChat, call: VendorCall) -> VendorRequest | Failure:
        raise _Mistake

    monkeypatch.setattr(OpenAiChat, "build_request", build_request)
    async with worker_stack("echo") as stack:
        with pytest.raises(_Mistake):
            await stack.serve(ask())
        await until(lambda: "ABANDONED" in stack.ingress.story)
        assert stack.ingress.story == ["CLAIM", "ABANDONED"]
        assert bytes(stack.ingress.claims[0].if_lost) == b"null", "no vendor was called, so nothing is to be booked"
        assert stack.settled, "Kafka would bring the same mistake again, to one worker after the other"
        assert stack.vendors.calls() == []


@pytest.mark.parametrize("vendor", ["gemini", "cohere", "bedrock", "openai", "anthropic"])
def test_a_cap_of_hundreds_of_digits_is_no_mistake_of_ours(vendor: str) -> None:
    body = msgspec.json.encode(
        {
            "model": "m",
            "max_tokens": msgspec.Raw(b"1" + b"0" * 400),
            "messages": [{"role": "user", "content": "hi"}],
            "thinking": {"type": "adaptive"},
        }
    )
    reading = SURFACES["anthropic.messages"].read(body, streaming=False)
    assert not isinstance(reading, Failure)
    way = ways_of(BUILT_IN[vendor])["anthropic.messages"]
    call = VendorCall(
        body=body,
        canonical=reading.canonical() if way.translated else None,
        model_id="m",
        vendor_model="gemini-2.5-pro" if vendor == "gemini" else "claude-sonnet-4-5",
        streaming=False,
        api_key="k",
    )
    way.vendor.build_request(call)


def test_a_budget_for_thinking_under_a_huge_cap() -> None:
    assert budget_tokens(Reasoning(effort="high"), 10**400, least=1, most=24576) == 24576


def test_a_vendors_key_is_not_in_its_repr() -> None:
    assert "sk-secret" not in repr(UsableVendor(ways={}, base_url="http://v", api_key="sk-secret"))
