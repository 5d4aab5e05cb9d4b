"""Whole answers, and where vendors put their figures."""

from typing import Any

import orjson
import pytest

from router_worker.vendors.vendor import ParsedResponse
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import USAGE, call, vendor


def answer(**fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    return {"id": "c-1", "model": "vendor/one-2026", "choices": [choice], "usage": USAGE, **fields}


def parsed(body: dict[str, Any] | bytes, name: str = "openai") -> ParsedResponse:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    result = vendor(name).parse_response(call(), 200, {}, data)
    assert isinstance(result, ParsedResponse)
    return result


def failed(body: bytes) -> Failure:
    result = vendor().parse_response(call(), 200, {}, body)
    assert isinstance(result, Failure)
    return result


def test_only_the_model_changes() -> None:
    body = (
        b'{"id":"c-1","model":"vendor/one-2026","choices":[ {"message":{"content":"\\u00e9"}} ],"x":1.50,"usage":null}'
    )
    assert parsed(body).body_for_client == body.replace(b"vendor/one-2026", b"cat-1")


def test_figures_and_names() -> None:
    result = parsed(answer())
    assert result.tokens == TokenCounts(input=11, output=3)
    assert (result.finish_reason, result.vendor_request_id) == ("stop", "c-1")
    assert result.output_bytes == len('"Hello"')


def test_the_headers_request_id_is_preferred() -> None:
    result = vendor().parse_response(call(), 200, {"x-request-id": "req-9"}, orjson.dumps(answer()))
    assert isinstance(result, ParsedResponse)
    assert result.vendor_request_id == "req-9"


_XAI = {"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 94}}


@pytest.mark.parametrize(
    ("row", "fields", "tokens"),
    [
        ("openai", {"usage": None}, None),
        ("openai", {"usage": {"prompt_tokens": 1}}, None),
        ("openai", {"usage": {"prompt_tokens": "1", "completion_tokens": 2}}, None),
        ("openai", {"usage": {"prompt_tokens": -1, "completion_tokens": 2}}, None),
        (
            "openai",
            {"usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0}}},
            TokenCounts(input=11, output=3, cached_input=8),
        ),
        (
            "openai",
            {"usage": USAGE | {"prompt_tokens_details": None, "completion_tokens_details": {"reasoning_tokens": 2}}},
            TokenCounts(input=11, output=3, reasoning=2),
        ),
        (
            "deepseek",
            {"usage": USAGE | {"prompt_cache_hit_tokens": 4}},
            TokenCounts(input=11, output=3, cached_input=4),
        ),
        ("together", {"usage": USAGE | {"cached_tokens": 5}}, TokenCounts(input=11, output=3, cached_input=5)),
        ("groq", {"usage": None, "x_groq": {"id": "r", "usage": USAGE}}, TokenCounts(input=11, output=3)),
        (
            "zai",
            {"usage": None, "choices": [{"message": {"content": "x"}, "usage": USAGE}]},
            TokenCounts(input=11, output=3),
        ),
        # xAI's own example: 32 + 9 + 94 = 135.
        ("xai", {"usage": _XAI | {"total_tokens": 135}}, TokenCounts(input=32, output=103, reasoning=94)),
        # Should it begin to count as OpenAI does, its total says so.
        (
            "xai",
            {"usage": _XAI | {"completion_tokens": 103, "total_tokens": 135}},
            TokenCounts(input=32, output=103, reasoning=94),
        ),
        ("openai", {"usage": _XAI | {"total_tokens": 41}}, TokenCounts(input=32, output=9, reasoning=94)),
    ],
)
def test_usage_is_found_wherever_the_vendor_puts_it(
    row: str, fields: dict[str, Any], tokens: TokenCounts | None
) -> None:
    assert parsed(answer(**fields), row).tokens == tokens


def test_halves_of_a_surrogate_pair_reach_the_client() -> None:
    body = b'{"id":"c","model":"v","choices":[{"message":{"content":"\\ud83d \\\\ud83d"},"finish_reason":"stop"}]}'
    assert parsed(body).body_for_client == body.replace(b'"v"', b'"cat-1"')


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"{}", b'{"choices":{}}', b'{"choices":[1]}', b'{"choices":[]'),
        b'{"choices":[],"x":"\xff"}',
        # The half of a pair takes the long way, on which the number would become `Infinity`.
        b'{"choices":[],"x":"\\ud83d","y":1e999}',
    ],
)
def test_what_is_no_answer_is_garbled(body: bytes) -> None:
    assert failed(body).kind is FailureKind.VENDOR_GARBLED


def test_deep_nesting_is_garbled_and_raises_nothing() -> None:
    assert failed(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}").kind is FailureKind.VENDOR_GARBLED


def test_an_error_in_a_200_is_an_error() -> None:
    assert failed(b'{"error":{"message":"upstream died","code":502}}').kind is FailureKind.VENDOR_ERROR
    refused = failed(b'{"error":{"message":"too long","code":400}}')
    assert (refused.kind, refused.message) == (FailureKind.VENDOR_REFUSED_REQUEST, "too long")


def test_a_reason_that_says_that_the_vendor_failed_is_no_answer() -> None:
    choice = {"index": 0, "message": {"content": "Hel"}, "finish_reason": "network_error"}
    assert failed(orjson.dumps(answer(choices=[choice]))).kind is FailureKind.VENDOR_BROKE_OFF
