"""Anthropic's format passed through: requests, answers, streams at every cut, and errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.vendors.anthropic.errors import AnthropicRefusals
from router_worker.vendors.anthropic.messages import AnthropicCountTokens, AnthropicMessages
from router_worker.vendors.anthropic.stream import AnthropicStream
from router_worker.vendors.row import Quirks, VendorRow
from router_worker.vendors.vendor import ParsedResponse, VendorRequest
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.anthropic_samples import (
    PING,
    REQUEST,
    RICH,
    ROW,
    STOP,
    USAGE,
    VERTEX,
    WHOLE,
    call,
    end,
    event,
    events_of,
    message_of,
    start,
    stream,
    text,
)

VENDOR = AnthropicMessages(ROW)
TOKENS = TokenCounts(input=87, cached_input=50, cache_write=30, cache_write_1h=20, output=42, reasoning=9)
RICH_BYTES = stream(RICH)


def built(request: dict[str, Any], row: VendorRow = ROW, **changes: Any) -> tuple[VendorRequest, Any]:
    made = AnthropicMessages(row).build_request(call(request, **changes))
    assert isinstance(made, VendorRequest)
    return made, json.loads(made.body)


def run(*pieces: bytes) -> tuple[AnthropicStream, bytes]:
    parser = VENDOR.open_stream(call(streaming=True))
    client = b"".join(parser.feed(piece) for piece in pieces) + parser.finish()
    assert parser.ended
    assert parser.complete == (parser.failure is None)
    return parser, client


def failed(*events: dict[str, Any] | bytes) -> tuple[FailureKind, bytes]:
    parser, client = run(*(each if isinstance(each, bytes) else event(each) for each in events))
    assert parser.failure is not None
    return parser.failure.kind, client


def test_a_request_passes_with_only_the_model_and_the_gateways_fields_changed() -> None:
    unknown = {"new_field": {"a": 1.50}, "thinking": {"type": "adaptive"}}
    made, body = built(REQUEST | unknown | {"models": ["x"], "tags": {"a": "b"}, "customer": "c"})
    assert body == REQUEST | unknown | {"model": "claude-sonnet-4-5-20250929"}
    assert made.url_path == "/messages"
    assert made.headers["x-api-key"] == "secret"
    assert made.headers["anthropic-version"] == "2023-06-01"
    assert b"1.50" in AnthropicMessages(ROW).build_request(call(body=b'{"x":1.50,"model":"m"}')).body  # type: ignore[union-attr]


def test_claude_on_vertex_has_its_model_in_the_url() -> None:
    made, body = built(REQUEST, VERTEX, vendor_model="claude-sonnet-4-5@20250929", streaming=True)
    assert made.url_path == "/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    assert made.headers["Authorization"] == "Bearer secret"
    assert "anthropic-version" not in made.headers
    assert "model" not in body
    assert body["anthropic_version"] == "vertex-2023-10-16"
    made, _ = built(REQUEST, VERTEX, vendor_model="claude-x")
    assert made.url_path.endswith("/claude-x:rawPredict")
    counting = AnthropicCountTokens(VERTEX).build_request(call())
    assert isinstance(counting, VendorRequest)
    assert counting.url_path == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert json.loads(counting.body)["model"] == "claude-sonnet-4-5-20250929"


@pytest.mark.parametrize(("given", "cap", "sent"), [(100, 50, 50), (100, 200, 100), (100, None, 100), (None, 9, 9)])
def test_the_cap(given: int | None, cap: int | None, sent: int) -> None:
    _, body = built(REQUEST | {"max_tokens": given}, max_output_tokens=cap)
    assert body["max_tokens"] == sent


def test_a_lowered_cap_stays_above_the_budget_for_thinking() -> None:
    request = REQUEST | {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    assert built(request, max_output_tokens=2000)[1]["thinking"] == {"type": "enabled", "budget_tokens": 1999}
    assert "thinking" not in built(request, max_output_tokens=500)[1]
    assert built(request, max_output_tokens=8500)[1]["thinking"]["budget_tokens"] == 8000


def test_fields_that_the_row_drops_are_named() -> None:
    row = VendorRow(
        name="a",
        base_url="http://a.test",
        api_key_env=None,
        wire="anthropic",
        quirks=Quirks(dropped=frozenset({"speed"})),
    )
    made, body = built(REQUEST | {"speed": "fast"}, row)
    assert "speed" not in body
    assert made.dropped == ("speed",)


def test_thoughts_of_other_vendors_are_taken_out_and_nothing_else() -> None:
    own = {"type": "thinking", "thinking": "x", "signature": "own"}
    foreign = {"type": "thinking", "thinking": "x", "signature": "tollhouse:gemini:abc"}
    hidden = {"type": "redacted_thinking", "data": "tollhouse:openai:abc"}
    said = {"type": "text", "text": "tollhouse:"}
    messages = [
        {"role": "user", "content": "tollhouse: hi"},
        {"role": "assistant", "content": [own, foreign, hidden, said]},
        {"role": "user", "content": [said]},
        {"role": "assistant", "content": [foreign]},
    ]
    _, body = built(REQUEST | {"messages": messages})
    assert body["messages"] == [messages[0], {"role": "assistant", "content": [own, said]}, messages[2]]


@pytest.mark.parametrize("body", [b"[]", b"", b'{"\\ud800":1'])
def test_a_body_that_is_no_object_is_a_failure(body: bytes) -> None:
    assert isinstance(VENDOR.build_request(call(body=body)), Failure)


def test_a_whole_answer() -> None:
    parsed = VENDOR.parse_response(call(), 200, {"request-id": "req_v"}, json.dumps(WHOLE).encode())
    assert isinstance(parsed, ParsedResponse)
    assert json.loads(parsed.body_for_client) == WHOLE | {"model": "cat-1"}
    assert parsed.tokens == TOKENS
    assert (parsed.finish_reason, parsed.vendor_request_id) == ("tool_use", "req_v")
    assert parsed.output_bytes > len("Hm, wörld?") + len("weather")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", FailureKind.VENDOR_GARBLED),
        (b"{}", FailureKind.VENDOR_GARBLED),
        (b'{"content":"x"}', FailureKind.VENDOR_GARBLED),
        (b'{"content":[],"x":"\xff"}', FailureKind.VENDOR_GARBLED),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', FailureKind.VENDOR_ERROR),
    ],
)
def test_what_is_no_answer(body: bytes, kind: FailureKind) -> None:
    found = VENDOR.parse_response(call(), 200, {}, body)
    assert isinstance(found, Failure)
    assert found.kind is kind


def test_half_a_surrogate_pair_passes() -> None:
    body = json.dumps(WHOLE | {"content": [{"type": "text", "text": "\ud83d"}]}).encode()
    parsed = VENDOR.parse_response(call(), 200, {}, body)
    assert isinstance(parsed, ParsedResponse)
    assert b"\\ud83d" in parsed.body_for_client
    _, client = run(stream([start(), *text(0, "\ud83d"), end(), STOP]))
    assert b"\\ud83d" in client


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, TokenCounts(input=3, output=4)),
        ({"input_tokens": 3}, None),
        ({"output_tokens": 3}, None),
        ({"input_tokens": -3, "output_tokens": 4}, None),
        (
            {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": None, "cache_creation_input_tokens": 5},
            TokenCounts(input=8, cache_write=5, output=4),
        ),
        (
            {"input_tokens": 3, "output_tokens": 4, "cache_creation": {"ephemeral_1h_input_tokens": 5}},
            TokenCounts(input=8, cache_write=5, cache_write_1h=5, output=4),
        ),
    ],
)
def test_usage(usage: dict[str, Any], tokens: TokenCounts | None) -> None:
    parsed = VENDOR.parse_response(call(), 200, {}, json.dumps(WHOLE | {"usage": usage}).encode())
    assert isinstance(parsed, ParsedResponse)
    assert parsed.tokens == tokens


def test_a_stream_gives_the_client_the_same_message_and_the_same_tokens() -> None:
    parser, client = run(RICH_BYTES)
    expected = WHOLE | {"model": "cat-1"}
    assert message_of(client) == expected
    assert parser.tokens == TOKENS
    assert (parser.finish_reason, parser.vendor_request_id) == ("tool_use", "msg_v")
    passed_on = [each for each in events_of(client) if each["type"] != "message_start"]
    assert passed_on == [each for number, each in enumerate(RICH) if number > 1], "all but the first ping, unchanged"


@pytest.mark.parametrize("raw", [RICH_BYTES, RICH_BYTES.replace(b"\n", b"\r\n")])
def test_a_stream_is_the_same_at_every_cut(raw: bytes) -> None:
    whole, client = run(raw)
    for cut in range(len(raw)):
        parser, pieces = run(raw[:cut], raw[cut:])
        assert pieces == client, cut
        assert (parser.tokens, parser.output_bytes, parser.chunks) == (whole.tokens, whole.output_bytes, whole.chunks)
    _, pieces = run(*(raw[place : place + 1] for place in range(len(raw))))
    assert pieces == client


@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_plain_text_takes_a_short_way_with_the_same_result(separators: tuple[str, str], ensure_ascii: bool) -> None:
    texts = ["Hel", "lo", " wörld", ' say "x"', "\\", "\n", "", "tail\\", '"}}', "\u2028", "}}", "lo"]
    raw = []
    for each in [start(), *text(0, *texts), end(), STOP]:
        data = json.dumps(each, separators=separators, ensure_ascii=ensure_ascii)
        raw.append(f"event: {each['type']}\ndata: {data}\n\n".encode())
    by_event, client = run(*raw)
    at_once, same = run(b"".join(raw))
    assert client == same
    assert message_of(client)["content"][0]["text"] == "".join(texts)
    assert (by_event.chunks, by_event.output_bytes) == (at_once.chunks, at_once.output_bytes)


def test_a_stream_cut_short_is_never_whole_and_never_raises() -> None:
    finished = RICH_BYTES.index(b"event: message_delta")
    for cut in range(len(RICH_BYTES)):
        parser, _ = run(RICH_BYTES[:cut])
        stop_seen = parser.finish_reason is not None
        assert parser.complete == stop_seen
        assert stop_seen == (cut > finished and parser.tokens is not None)
        if not stop_seen:
            assert parser.failure == Failure(kind=FailureKind.VENDOR_BROKE_OFF)
            assert parser.tokens is None


def test_figures_of_the_last_event_win() -> None:
    events = [start(input_tokens=0), *text(0, "x"), end(input_tokens=11, cache_read_input_tokens=2), STOP]
    parser, _ = run(stream(events))
    assert parser.tokens == TokenCounts(input=43, cached_input=2, cache_write=30, cache_write_1h=20, output=42)
    silent = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    parser, _ = run(stream([start(), *text(0, "x"), silent, STOP]))
    assert parser.complete
    assert parser.tokens is None, "the output of message_start is not what is charged"


def test_nothing_goes_out_before_the_answer_begins() -> None:
    parser = VENDOR.open_stream(call(streaming=True))
    assert parser.feed(stream([start(), PING])) == b""
    first = parser.feed(event(text(0, "x")[0]))
    assert [each["type"] for each in events_of(first)] == ["message_start", "content_block_start"]


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("overloaded_error", FailureKind.VENDOR_ERROR),
        ("api_error", FailureKind.VENDOR_ERROR),
        ("timeout_error", FailureKind.VENDOR_ERROR),
        ("rate_limit_error", FailureKind.VENDOR_RATE_LIMITED),
        ("authentication_error", FailureKind.VENDOR_REFUSED_KEY),
        ("permission_error", FailureKind.VENDOR_REFUSED_KEY),
        ("billing_error", FailureKind.VENDOR_PAYMENT_REQUIRED),
        ("not_found_error", FailureKind.VENDOR_MODEL_UNKNOWN),
        ("invalid_request_error", FailureKind.VENDOR_REFUSED_REQUEST),
        ("brand_new_error", FailureKind.VENDOR_ERROR),
    ],
)
def test_error_events(error_type: str, kind: FailureKind) -> None:
    error = {"type": "error", "error": {"type": error_type, "message": "m"}}
    assert failed(start(), error) == (kind, b""), "another route may be tried"
    assert failed(error)[0] is kind
    assert failed(json.dumps(error).encode())[0] is kind, "a JSON body instead of a stream"
    assert failed(start(), *text(0, "x"), error)[0] is FailureKind.VENDOR_BROKE_OFF


@pytest.mark.parametrize(
    "events",
    [
        *((b"<html>",), (b"data: {oops\n\n",), (b"data: []\n\n",), (STOP,), (start(), STOP), (b'{"a":1}',)),
        (start(), b'data: {"type":"ping","more":"\xff"}\n\n', *text(0, "x"), end(), STOP),
    ],
)
def test_garbage(events: tuple[dict[str, Any] | bytes, ...]) -> None:
    assert failed(*events)[0] in (FailureKind.VENDOR_GARBLED, FailureKind.VENDOR_BROKE_OFF)


def test_a_server_that_only_closes_after_the_reason_to_stop() -> None:
    parser, client = run(stream([start(), *text(0, "x"), end()]))
    assert parser.complete
    assert events_of(client)[-1] == STOP


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_read_without_raising(pieces: list[bytes]) -> None:
    run(*pieces)
    run(RICH_BYTES[:700], *pieces)


def refused(status: int, error: Any, headers: dict[str, str] | None = None) -> Failure:
    body = json.dumps({"type": "error", "error": error, "request_id": "r"}).encode()
    return AnthropicRefusals().classify_error(status, headers or {}, body, 1_750_000_000_000)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"type": "invalid_request_error", "message": "max_tokens: too big"}, FailureKind.VENDOR_REFUSED_REQUEST),
        (
            400,
            {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."},
            FailureKind.VENDOR_PAYMENT_REQUIRED,
        ),
        (401, {"type": "authentication_error", "message": "x"}, FailureKind.VENDOR_REFUSED_KEY),
        (402, {"type": "billing_error", "message": "x"}, FailureKind.VENDOR_PAYMENT_REQUIRED),
        (403, {"type": "permission_error", "message": "x"}, FailureKind.VENDOR_REFUSED_KEY),
        (404, {"type": "not_found_error", "message": "model: x"}, FailureKind.VENDOR_MODEL_UNKNOWN),
        (413, {"type": "request_too_large", "message": "x"}, FailureKind.VENDOR_REFUSED_REQUEST),
        (429, {"type": "rate_limit_error", "message": "x"}, FailureKind.VENDOR_RATE_LIMITED),
        (
            429,
            {"type": "rate_limit_error", "message": "x", "details": {"error_code": "enforced_spend_limit_reached"}},
            FailureKind.VENDOR_PAYMENT_REQUIRED,
        ),
        (500, {"type": "api_error", "message": "x"}, FailureKind.VENDOR_ERROR),
        (504, {"type": "timeout_error", "message": "x"}, FailureKind.VENDOR_ERROR),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, FailureKind.VENDOR_ERROR),
        (400, "text", FailureKind.VENDOR_REFUSED_REQUEST),
    ],
)
def test_refusals(status: int, error: Any, kind: FailureKind) -> None:
    failure = refused(status, error)
    assert failure.kind is kind
    if kind is FailureKind.VENDOR_REFUSED_REQUEST:
        assert failure.http_status == status


def test_when_to_try_again() -> None:
    limited = {"type": "rate_limit_error", "message": "x"}
    reset = {
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-requests-reset": "2025-06-15T16:06:40Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2025-06-15T15:06:47Z",
    }
    assert refused(429, limited, {"retry-after": "12"} | reset).retry_after_s == 12
    assert refused(429, limited, reset).retry_after_s == 7
    assert refused(429, limited, {"anthropic-ratelimit-tokens-remaining": "0"}).retry_after_s is None
    assert refused(529, {"type": "overloaded_error", "message": "x"}, {"retry-after": "3"}).retry_after_s == 3


def test_keys_in_a_vendors_words_do_not_reach_the_client() -> None:
    text_of_it = "bad key sk-ant-" + "abcdefghijkl" + " in it"
    assert "abcdefghijkl" not in refused(400, {"type": "invalid_request_error", "message": text_of_it}).text


def test_counting() -> None:
    vendor = AnthropicCountTokens(ROW)
    made = vendor.build_request(call(REQUEST | {"models": ["a"]}, max_output_tokens=5))
    assert isinstance(made, VendorRequest)
    assert made.url_path == "/messages/count_tokens"
    assert json.loads(made.body) == REQUEST | {"model": "claude-sonnet-4-5-20250929"}
    parsed = vendor.parse_response(call(), 200, {}, b'{"input_tokens":14}')
    assert isinstance(parsed, ParsedResponse)
    assert parsed.body_for_client == b'{"input_tokens":14}'
    assert parsed.tokens == TokenCounts()
    assert isinstance(vendor.parse_response(call(), 200, {}, b"[]"), Failure)


def test_usage_sample_is_what_the_totals_say() -> None:
    parts = USAGE["input_tokens"] + USAGE["cache_creation_input_tokens"] + USAGE["cache_read_input_tokens"]
    assert parts == TOKENS.input


@pytest.mark.parametrize("place", ["us", "eu", 1])
def test_a_place_with_a_price_of_its_own_is_refused(place: object) -> None:
    made = VENDOR.build_request(call({**REQUEST, "inference_geo": place}))
    assert isinstance(made, Failure)
    assert (made.param, made.code) == ("inference_geo", "unsupported_by_vendor")


@pytest.mark.parametrize("place", [None, "global"])
def test_any_place_is_the_catalogues_price(place: object) -> None:
    assert built({**REQUEST, "inference_geo": place})[1]["inference_geo"] == place
