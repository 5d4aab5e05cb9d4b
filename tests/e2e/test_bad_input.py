"""Broken bodies at every client API for every vendor format, at the real processes.

Each answer is one, or a 4xx in the client's own error shape, and comes within the deadline; what the gateway refuses
has reached no vendor.
"""

from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.fuzz.http_bodies import broken_bodies, judged, send_all

pytestmark = pytest.mark.e2e

BODIES = 300
# Models of the built-in catalogue that can do most, by the vendor that is asked for.
CHAT = {
    "openai": "gpt-5.1",
    "mistral": "mistral-medium-3-5",
    "anthropic": "claude-sonnet-4-5-20250929",
    "gemini": "gemini-2.5-flash",
    "bedrock": "nova-2-lite",
    "cohere": "command-a-03-2025",
}
EMBEDDINGS = {
    "openai": "text-embedding-3-small",
    "mistral": "mistral-embed",
    "gemini": "gemini-embedding-001",
    "cohere": "embed-v4.0",
}


async def test_broken_bodies(stack: Stack) -> None:
    bodies = broken_bodies(BODIES, 11, CHAT, EMBEDDINGS)
    answers = await send_all(stack.api_url, stack.api_key, bodies)
    calls: dict[str, list[Any]] = {}
    for call in stack.ledger():
        calls.setdefault((call["request_id_header"] or "").split(".")[0], []).append(call)
    problems = [judged(got, calls.get(got.request_id, [])) for got in answers]
    wrong = [problem for problem in problems if problem is not None]
    assert not wrong, f"{len(wrong)} of {len(answers)}:\n" + "\n".join(wrong)
    statuses = {got.status for got in answers}
    assert {200, 400} <= statuses, statuses
