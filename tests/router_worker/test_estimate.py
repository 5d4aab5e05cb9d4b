"""Bounds for attempts without figures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.estimate import TEMPLATE_TOKENS, UNSEEN_TOKENS, input_tokens_bound, output_tokens_bound, tokens_bound
from schemas.catalogue import Capability
from schemas.usage import TokenCounts
from tests.router_worker.routes import route

ROUTE = route("a")
_REASONING: frozenset[Capability] = frozenset({"streaming", "reasoning"})
REASONING = route("a", capabilities=_REASONING)


def test_input_is_bounded_by_bytes_and_by_the_context() -> None:
    assert input_tokens_bound(b"x" * 100, ROUTE, has_media=False) == 100 + TEMPLATE_TOKENS
    assert input_tokens_bound(b"x" * 50_000, ROUTE, has_media=False) == 10_000
    assert input_tokens_bound(b"x", ROUTE, has_media=True) == 10_000


@pytest.mark.parametrize(
    ("cap", "at", "observed", "choices", "bound"),
    [
        (None, ROUTE, None, 1, 1_000),
        (50, ROUTE, None, 1, 50),
        (5_000, ROUTE, None, 1, 1_000),
        (50, ROUTE, None, 3, 150),
        (None, ROUTE, 10, 1, 10 + UNSEEN_TOKENS),
        (None, ROUTE, 10, 2, 10 + 2 * UNSEEN_TOKENS),
        (50, ROUTE, 10, 1, 50),
        (None, ROUTE, 5_000, 1, 1_000),
        (None, REASONING, 10, 1, 1_000),
    ],
)
def test_output(cap: int | None, at: object, observed: int | None, choices: int, bound: int) -> None:
    assert output_tokens_bound(cap, at, observed, choices=choices) == bound  # type: ignore[arg-type]


@given(st.text(min_size=1))
def test_a_bound_covers_a_tokenizer_of_single_bytes(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return
    for ascii_only in (True, False):
        body = json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=ascii_only).encode()
        assert input_tokens_bound(body, ROUTE, has_media=False) >= min(size, ROUTE.context_tokens)


def test_bounds_assume_no_discount() -> None:
    assert tokens_bound(5, 7) == TokenCounts(input=5, output=7)
