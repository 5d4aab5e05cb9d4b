"""Gemini's format passed through: what changes in a body, an answer and a stream, and what a stream's end means."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.canonical.answer import Answer
from router_worker.canonical.request import Thinking
from router_worker.vendors.gemini.generate import GeminiGenerate
from router_worker.vendors.gemini.signature import NO_SIGNATURE, wrapped
from router_worker.vendors.gemini.wire import GeminiWire
from router_worker.vendors.row import Quirks, VendorRow
from router_worker.vendors.vendor import ParsedResponse
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.gemini_samples import (
    BODY,
    ROW,
    RUNNING,
    TOKENS,
    USAGE,
    VERTEX_ROW,
    call,
    chunk,
    event,
    payloads,
    run,
    run_events,
    stream_bytes,
)

VENDOR = GeminiGenerate(ROW)
TEXT = {"text": "häl\u2028lo"}
CALL = {"functionCall": {"name": "f", "args": {"a": [1, "}"]}}, "thoughtSignature": "sig"}
CHUNKS = (
    chunk(TEXT, usage=RUNNING),
    chunk({"text": "hm", "thought": True}, CALL, usage=RUNNING),
    chunk({"text": ""}, finish="STOP", usage=USAGE),
)


def sent(body: dict[str, Any] | bytes, row: VendorRow = ROW, **changes: Any) -> Any:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return orjson.loads(GeminiGenerate(row).build_request(call(data, **changes)).body)


def test_paths_and_headers() -> None:
    plain = VENDOR.build_request(call(attempt_id="att_1"))
    assert plain.url_path == "/models/gemini-2.5-flash:generateContent"
    assert plain.headers["x-goog-api-key"] == "secret"
    assert plain.headers["X-Tollhouse-Attempt-Id"] == "att_1"
    streaming = VENDOR.build_request(call(streaming=True, vendor_model="models/a b/c"))
    assert streaming.url_path == "/models/a%20b%2Fc:streamGenerateContent?alt=sse"
    vertex = GeminiGenerate(VERTEX_ROW).build_request(call(streaming=True))
    assert vertex.url_path == "/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert vertex.headers["Authorization"] == "Bearer secret"


def test_a_body_is_untouched_but_for_what_is_the_gateways() -> None:
    body = b'{"contents":[{"parts":[{"text":"hi","n":1.50}]}],"newField":{"a":1e2},"vendor":"x","model":"m"}'
    built = VENDOR.build_request(call(body)).body
    assert built == b'{"contents":[{"parts":[{"text":"hi","n":1.50}]}],"newField":{"a":1e2}}'
    row = VendorRow(**{**_fields(ROW), "quirks": Quirks(dropped=frozenset({"serviceTier"}))})
    assert sent({"contents": [], "serviceTier": "flex"}, row) == {"contents": []}


def _fields(row: VendorRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"generationConfig": {"maxOutputTokens": 50}}),
        ({"generationConfig": None}, {"generationConfig": {"maxOutputTokens": 50}}),
        (
            {"generationConfig": {"topK": 1, "maxOutputTokens": 60}},
            {"generationConfig": {"topK": 1, "maxOutputTokens": 50}},
        ),
        ({"generationConfig": {"maxOutputTokens": 40}}, {"generationConfig": {"maxOutputTokens": 40}}),
        ({"generation_config": {"max_output_tokens": 60}}, {"generation_config": {"maxOutputTokens": 50}}),
        ({"generation_config": {"max_output_tokens": 40}}, {"generation_config": {"maxOutputTokens": 40}}),
    ],
)
def test_the_cap_is_never_raised_and_never_lost(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert sent(given, max_output_tokens=50) == wanted
    assert sent(given) == given


def test_another_vendors_signature_is_not_shown_to_google() -> None:
    foreign = wrapped(Thinking(signature="abc", made_by="anthropic"))
    body = {"contents": [{"parts": [{"text": "t", "thought": True, "thoughtSignature": foreign}, CALL]}]}
    parts = sent(body)["contents"][0]["parts"]
    assert parts == [{"text": "t", "thought": True, "thoughtSignature": NO_SIGNATURE}, CALL]


def parse(answer: dict[str, Any] | bytes) -> ParsedResponse | Failure:
    body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
    return VENDOR.parse_response(call(), 200, {}, body)


def test_a_whole_answer() -> None:
    answer = chunk(TEXT, CALL, finish="STOP", usage=USAGE, newField=1)
    found = parse(answer)
    assert isinstance(found, ParsedResponse)
    assert orjson.loads(found.body_for_client) == {**answer, "modelVersion": "cat-gemini"}
    assert (found.tokens, found.finish_reason, found.vendor_request_id) == (TOKENS, "STOP", "r-1")
    assert found.output_bytes == len(TEXT["text"].encode()) + len(b'f{"a":[1,"}"]}')


def test_a_blocked_prompt_is_a_whole_answer() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    found = parse(blocked)
    assert isinstance(found, ParsedResponse)
    assert (found.tokens, found.finish_reason) == (TokenCounts(input=3), "SAFETY")
    outcome = run(VENDOR.open_stream(call()), event(blocked))
    assert outcome.complete
    assert (outcome.tokens, outcome.finish_reason) == (TokenCounts(input=3), "SAFETY")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"<html>", FailureKind.VENDOR_GARBLED),
        (b"{}", FailureKind.VENDOR_GARBLED),
        (b"[]", FailureKind.VENDOR_GARBLED),
        (b'{"candidates":[{"content":{"parts":[{"text":"\xff"}]}}]}', FailureKind.VENDOR_GARBLED),
        (b"[" * 200_000, FailureKind.VENDOR_GARBLED),
        (b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}', FailureKind.VENDOR_RATE_LIMITED),
    ],
)
def test_what_is_no_answer(answer: bytes, kind: FailureKind) -> None:
    found = parse(answer)
    assert isinstance(found, Failure)
    assert found.kind is kind


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"promptTokenCount": 7}, TokenCounts(input=7)),
        ({"promptTokenCount": 7, "thoughtsTokenCount": 2}, TokenCounts(input=7, output=2, reasoning=2)),
        ({"totalTokenCount": 7}, None),
        ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": "many"}, None),
        ("none", None),
    ],
)
def test_usage_that_lacks_something(usage: Any, tokens: TokenCounts | None) -> None:
    found = parse(chunk(TEXT, finish="STOP", usageMetadata=usage))
    assert isinstance(found, ParsedResponse)
    assert found.tokens == tokens


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_at_every_byte_split(end: bytes) -> None:
    data = stream_bytes(*CHUNKS, end=end)
    whole = run(VENDOR.open_stream(call(streaming=True)), data)
    assert whole.complete
    assert payloads(whole.out) == [{**piece, "modelVersion": "cat-gemini"} for piece in CHUNKS]
    assert (whole.tokens, whole.chunks, whole.finish_reason, whole.vendor_request_id) == (TOKENS, 3, "STOP", "r-1")
    for split in range(1, len(data)):
        assert run(VENDOR.open_stream(call(streaming=True)), data[:split], data[split:]) == whole
    assert run(VENDOR.open_stream(call(streaming=True)), *(data[i : i + 1] for i in range(len(data)))) == whole


def test_a_stream_has_the_tokens_of_the_whole_answer() -> None:
    found = parse(chunk(TEXT, {"text": "hm", "thought": True}, CALL, finish="STOP", usage=USAGE))
    streamed = run(VENDOR.open_stream(call()), stream_bytes(*CHUNKS))
    assert isinstance(found, ParsedResponse)
    assert (streamed.tokens, streamed.output_bytes) == (found.tokens, found.output_bytes)


def test_a_stream_that_breaks_off_anywhere_books_no_running_figures() -> None:
    data = stream_bytes(*CHUNKS)
    last_chunk = data.rindex(b"data: ")
    for end in range(len(data) - 4):
        outcome = run(VENDOR.open_stream(call()), data[:end])
        # Nothing tells a last chunk cut off at its very end from a whole one.
        assert outcome.failed_as is FailureKind.VENDOR_BROKE_OFF, end
        assert outcome.tokens is None
        assert end <= last_chunk or outcome.chunks == 2


def test_usage_may_come_after_the_finish_reason() -> None:
    usage_only = {"usageMetadata": USAGE, "modelVersion": "x"}
    outcome = run(VENDOR.open_stream(call()), stream_bytes(chunk(TEXT, finish="STOP", usage=RUNNING), usage_only))
    assert outcome.complete
    assert outcome.tokens == TOKENS


def test_all_candidates_must_finish() -> None:
    two = chunk(TEXT, finish="STOP", usage=USAGE)
    other = orjson.loads(orjson.dumps(two))
    other["candidates"][0]["index"] = 1
    assert run(VENDOR.open_stream(call(choices=2)), stream_bytes(two, other)).complete
    assert run(VENDOR.open_stream(call(choices=2)), stream_bytes(two)).failed_as is FailureKind.VENDOR_BROKE_OFF


ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([event(ERROR)], FailureKind.VENDOR_ERROR),
        ([event(CHUNKS[0]), event(ERROR)], FailureKind.VENDOR_BROKE_OFF),
        ([event(b'{"error":{"code":400,"status":"INVALID_ARGUMENT"}}')], FailureKind.VENDOR_REFUSED_REQUEST),
        ([orjson.dumps(ERROR)], FailureKind.VENDOR_ERROR),
        ([orjson.dumps([ERROR], option=orjson.OPT_INDENT_2)], FailureKind.VENDOR_ERROR),
        ([orjson.dumps(chunk(TEXT, finish="STOP"))], FailureKind.VENDOR_GARBLED),
        ([event(b"{no json")], FailureKind.VENDOR_GARBLED),
        ([event(b'{"candidates":7}')], FailureKind.VENDOR_GARBLED),
        ([event(b'{"candidates":[{"content":{"parts":[{"x":"\xff"}]}}]}')], FailureKind.VENDOR_GARBLED),
        ([b"<html>nothing</html>"], FailureKind.VENDOR_BROKE_OFF),
        ([b""], FailureKind.VENDOR_BROKE_OFF),
    ],
)
def test_streams_that_fail(pieces: list[bytes], kind: FailureKind) -> None:
    outcome = run(VENDOR.open_stream(call()), *pieces)
    assert outcome.failed_as is kind
    assert outcome.tokens is None
    assert len(payloads(outcome.out)) == len(pieces) - 1


def test_comments_and_empty_events_are_not_passed_on() -> None:
    stream = VENDOR.open_stream(call())
    assert stream.feed(b": hello\n\n\n\ndata:\n\n" + event(b'{"serverContent":1}')) == b""
    assert stream.chunks == 0


def test_half_a_surrogate_pair_does_not_break_a_stream() -> None:
    half = rb'{"candidates":[{"content":{"parts":[{"text":"\ud83d and so on"}]},"finishReason":"STOP","index":0}]}'
    outcome = run(VENDOR.open_stream(call()), event(half))
    assert outcome.complete
    assert "and so on" in payloads(outcome.out)[0]["candidates"][0]["content"]["parts"][0]["text"]


def test_the_default_body_passes() -> None:
    assert VENDOR.build_request(call()).body == BODY


FIELD_NAMES = st.sampled_from(
    [
        *(
            "candidates",
            "content",
            "parts",
            "text",
            "thought",
            "thoughtSignature",
            "functionCall",
            "name",
            "args",
            "id",
        ),
        *(
            "finishReason",
            "index",
            "usageMetadata",
            "promptTokenCount",
            "promptFeedback",
            "blockReason",
            "error",
            "code",
        ),
        *("inlineData", "status", "details", "responseId", "x"),
    ]
)
SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=4),
    max_leaves=15,
)
PARTS = st.lists(st.dictionaries(FIELD_NAMES, SOME_JSON, max_size=3), max_size=3)


@given(st.lists(SOME_JSON | PARTS.map(lambda parts: chunk(*parts, finish="STOP")), max_size=4), st.binary(max_size=20))
def test_nothing_that_a_vendor_sends_raises(values: list[Any], garbage: bytes) -> None:
    bodies = [json.dumps(value).encode() for value in values]
    data = b"".join(map(event, bodies)) + garbage
    for pieces in ([data], [data[: len(data) // 2], data[len(data) // 2 :]]):
        run(VENDOR.open_stream(call()), *pieces)
        run_events(GeminiWire(ROW).open_events(call()), *pieces)
    for body in (*bodies, garbage):
        assert isinstance(parse(body), ParsedResponse | Failure)
        assert isinstance(GeminiWire(ROW).read_answer(call(), 200, {}, body), Answer | Failure)
        assert isinstance(VENDOR.classify_error(400, {}, body, 0), Failure)
