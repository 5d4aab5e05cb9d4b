"""Streams: the same result at every cut, what the client gets, and how an end is told from a break."""

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.vendors.openai.stream import OpenAiStream
from schemas.failures import FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import (
    DONE,
    USAGE,
    Outcome,
    call,
    chunk,
    event,
    payloads,
    quirks,
    run,
    stream_bytes,
)

ROLE = chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
TEXTS = ["Hel", "lo", " wörld", ' say "model":"x"', "\\", "\n", " tail\\", "", '","usage":{"prompt_tokens":1}', "lo"]
USAGE_CHUNK = chunk(choices=[], usage=USAGE)
# A whole answer with a null usage in each chunk, as OpenAI sends it.
PLAIN = stream_bytes(
    ROLE,
    *(chunk(text, usage=None) for text in TEXTS),
    chunk(finish="stop", usage=None),
    USAGE_CHUNK,
    b"[DONE]",
)


def parser(row: str = "openai", **changes: Any) -> OpenAiStream:
    return OpenAiStream(call(streaming=True, **changes), quirks(row))


def text_of(client: bytes) -> str:
    parts = [payload for payload in payloads(client) if payload != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for part in parts for choice in part["choices"])


def test_a_plain_stream() -> None:
    outcome = run(parser(), PLAIN)
    assert outcome.complete
    assert outcome.tokens == TokenCounts(input=11, output=3)
    assert (outcome.finish_reason, outcome.vendor_request_id) == ("stop", "c-1")
    assert text_of(outcome.client) == "".join(TEXTS)
    assert outcome.output_bytes == sum(len(orjson.dumps(text)) - 2 for text in TEXTS)
    assert outcome.chunks == len(TEXTS) + 3
    assert outcome.client.endswith(DONE)


def test_the_clients_bytes_are_the_vendors_but_for_the_model() -> None:
    wanted = PLAIN.replace(b'"model":"vendor/one-2026"', b'"model":"cat-1"').replace(
        event(USAGE_CHUNK | {"model": "cat-1"}), b""
    )
    assert run(parser(), PLAIN).client == wanted


def test_the_usage_chunk_goes_to_a_client_that_asked_for_it() -> None:
    asked = payloads(run(parser(client_wants_usage=True), PLAIN).client)
    assert asked[-2] == USAGE_CHUNK | {"model": "cat-1"}
    assert all(payload == "[DONE]" or payload["choices"] for payload in payloads(run(parser(), PLAIN).client))


def test_a_vendor_that_uses_the_catalogues_name_is_passed_on_as_it_is() -> None:
    outcome = run(parser(model_id="vendor/one-2026", client_wants_usage=True), PLAIN)
    assert outcome.client == PLAIN


STREAMS = {
    "plain": PLAIN,
    "crlf": stream_bytes(ROLE, chunk("a"), chunk("b"), chunk(finish="stop"), USAGE_CHUNK, b"[DONE]", end=b"\r\n"),
    "cr": stream_bytes(ROLE, chunk("a"), chunk("b"), chunk(finish="stop"), b"[DONE]", end=b"\r"),
    "bom and comments": b"\xef\xbb\xbf"
    + stream_bytes(chunk("a"))
    + b": keep-alive\r\n\r\nid: 7\nretry: 10\nevent: message\n"
    + stream_bytes(chunk("b"), chunk(finish="stop"), b"[DONE]"),
    "lines": b'data:{"id":"c","model":"v",\ndata: "choices":[{"index":0,"delta":{"content":"a"},\n'
    b'data:"finish_reason":"stop"}]}\n\n'
    b"data:[DONE]\n\n",
    "crlf lines": b'data: {"id":"c","model":"v",\r\ndata: "choices":[{"index":0,"delta":{"content":"a"},\r\n'
    b'data: "finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n',
    "no mark": stream_bytes(chunk("a"), chunk("b"), chunk(finish="length", usage=USAGE)),
    "no last line feed": stream_bytes(chunk("a"), chunk(finish="stop")) + b"data: [DONE]",
    "broken off": PLAIN[:400],
    "error": stream_bytes(chunk("a"), {"error": {"message": "x", "type": "server_error"}}, chunk("b")),
    "error first": b"event: error\n" + stream_bytes({"error": {"message": "x", "type": "rate_limit_error"}}),
    "json": b'{"error":{"message":"no","type":"invalid_request_error"}}',
    "html": b"<html>\n\n<body>",
    "garbage": stream_bytes(chunk("a"), b'{"choices":[', chunk("b")),
    "halves": stream_bytes(chunk("a")) + b'data: {"model":"v","choices":[{"delta":{"content":"\\ud83d"}}]}\n\n' + DONE,
    "empty": b"",
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_cut_gives_the_same(name: str) -> None:
    data = STREAMS[name]
    whole = run(parser(), data)
    for position in range(len(data) + 1):
        assert run(parser(), data[:position], data[position:]) == whole, position
    assert run(parser(), *(data[i : i + 1] for i in range(len(data)))) == whole


@given(cuts=st.lists(st.integers(0, len(PLAIN)), max_size=12), name=st.sampled_from(sorted(STREAMS)))
def test_any_cuts_give_the_same(cuts: list[int], name: str) -> None:
    data = STREAMS[name]
    bounds = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(sorted(min(bound, len(data)) for bound in bounds))]
    assert run(parser(), *pieces) == run(parser(), data)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("plain", None),
        ("crlf", None),
        ("cr", None),
        ("bom and comments", None),
        ("lines", None),
        ("crlf lines", None),
        ("no mark", None),
        ("no last line feed", None),
        ("halves", None),
        ("broken off", FailureKind.VENDOR_BROKE_OFF),
        ("error", FailureKind.VENDOR_BROKE_OFF),
        ("error first", FailureKind.VENDOR_RATE_LIMITED),
        ("json", FailureKind.VENDOR_REFUSED_REQUEST),
        ("html", FailureKind.VENDOR_BROKE_OFF),
        ("garbage", FailureKind.VENDOR_GARBLED),
        ("empty", FailureKind.VENDOR_BROKE_OFF),
    ],
)
def test_how_it_ended(name: str, kind: FailureKind | None) -> None:
    outcome = run(parser(), STREAMS[name])
    assert outcome.failed_as == kind
    assert outcome.client.endswith(DONE) == (kind is None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("crlf", "ab"),
        ("cr", "ab"),
        ("bom and comments", "ab"),
        ("lines", "a"),
        ("crlf lines", "a"),
        ("broken off", "Hel"),
    ],
)
def test_the_text_arrives(name: str, text: str) -> None:
    assert text_of(run(parser(), STREAMS[name]).client) == text


def test_a_stream_without_the_mark_gets_it() -> None:
    assert payloads(run(parser(), STREAMS["no mark"]).client)[-1] == "[DONE]"


def test_with_several_choices_all_must_have_ended() -> None:
    one = stream_bytes(chunk("a", finish="stop"), chunk("b", index=1))
    assert run(parser(choices=2), one).failed_as is FailureKind.VENDOR_BROKE_OFF
    assert run(parser(choices=2), one, event(chunk(finish="stop", index=1))).complete


def test_a_mark_without_an_answer_is_garbled_and_not_passed_on() -> None:
    outcome = run(parser(), DONE)
    assert (outcome.failed_as, outcome.client) == (FailureKind.VENDOR_GARBLED, b"")


def test_nothing_follows_an_error_or_the_mark() -> None:
    outcome = run(parser(), STREAMS["error"])
    assert text_of(outcome.client) == "a"
    after = run(parser(), STREAMS["no last line feed"] + b"\n\n", event(chunk("late")))
    assert b"late" not in after.client


def test_keep_alives_do_not_commit_the_answer() -> None:
    stream = parser()
    assert stream.feed(b": OPENROUTER PROCESSING\n\n" * 3) == b""
    assert stream.chunks == 0


def test_events_of_another_sort_are_not_taken_for_chunks() -> None:
    outcome = run(parser(), event({"type": "ping"}), event(chunk("a", finish="stop")), DONE)
    assert (outcome.chunks, text_of(outcome.client)) == (1, "a")


def test_a_huge_event_without_end_is_given_up() -> None:
    stream = parser()
    piece = b"data: " + b"x" * (8 * 1024 * 1024)
    assert not stream.ended
    for _ in range(3):
        stream.feed(piece)
    assert stream.failure is not None
    assert stream.failure.kind is FailureKind.VENDOR_GARBLED


def _last(row: str, last: dict[str, Any]) -> Outcome:
    return run(parser(row), stream_bytes(chunk("a"), chunk("b"), last, b"[DONE]"))


@pytest.mark.parametrize(
    ("row", "last", "tokens"),
    [
        ("mistral", chunk("c", finish="stop", usage=USAGE), TokenCounts(input=11, output=3)),
        ("groq", chunk(finish="stop", x_groq={"id": "r", "usage": USAGE}), TokenCounts(input=11, output=3)),
        (
            "zai",
            chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]),
            TokenCounts(input=11, output=3),
        ),
        (
            "xai",
            chunk(
                finish="stop", usage=USAGE | {"completion_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 19}
            ),
            TokenCounts(input=11, output=8, reasoning=5),
        ),
        ("openai", chunk(finish="stop"), None),
    ],
)
def test_usage_in_the_last_chunk(row: str, last: dict[str, Any], tokens: TokenCounts | None) -> None:
    outcome = _last(row, last)
    assert outcome.tokens == tokens
    # It came with a choice, so it is not the extra chunk that only those who ask for it get.
    assert payloads(outcome.client)[-2]["choices"][0]["finish_reason"] == "stop"


def test_of_several_usage_figures_the_last_counts() -> None:
    first, last = USAGE | {"completion_tokens": 1}, USAGE | {"completion_tokens": 9}
    outcome = run(parser(), stream_bytes(chunk("a", usage=first), chunk(finish="stop", usage=last), b"[DONE]"))
    assert outcome.tokens is not None
    assert outcome.tokens.output == 9


def test_generated_bytes_include_reasoning_and_every_sort_of_call() -> None:
    tool = {"index": 0, "function": {"name": "f", "arguments": '{"a"'}}
    custom = {"index": 1, "custom": {"name": "g", "input": "xyz"}}
    deltas: list[dict[str, Any]] = [{"reasoning_content": "abc"}, {"tool_calls": [tool, custom]}, {"refusal": "no"}]
    deltas.append({"function_call": {"name": "old", "arguments": "{}"}})
    stream = parser()
    for delta in deltas:
        stream.feed(event(chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}])))
    assert stream.output_bytes == 3 + 1 + len('{\\"a\\"') + 1 + 3 + 2 + 3 + 2


def test_figures_that_a_vendor_counts_along_are_not_final_until_the_answer_is() -> None:
    running = {"prompt_tokens": 11, "completion_tokens": 1}
    stream = parser()
    stream.feed(stream_bytes(chunk("a", usage=running), chunk("b", usage=running)))
    assert stream.tokens is None
    whole = run(parser(), stream_bytes(chunk("a", usage=running), chunk("b", usage=running), b"[DONE]"))
    assert whole.tokens == TokenCounts(input=11, output=1)


def test_a_changing_field_does_not_mislead_the_template() -> None:
    chunks = [chunk(f"t{i}", obfuscation="x" * (i % 5), created=i // 3) for i in range(40)]
    outcome = run(parser(), stream_bytes(*chunks, chunk(finish="stop"), b"[DONE]"))
    assert payloads(outcome.client)[:-2] == [one | {"model": "cat-1"} for one in chunks]


def test_what_only_looks_like_the_template_is_read_whole() -> None:
    first, second = ({"index": i, "delta": {"content": "x"}, "finish_reason": None} for i in (0, 1))
    both = chunk(choices=[first | {"finish_reason": "stop"}, second])
    stream = parser()
    stream.feed(stream_bytes(chunk("a"), chunk("b"), both))
    assert stream.finish_reason == "stop"
    assert stream.output_bytes == 4


def test_a_broken_chunk_that_looks_like_the_template_is_garbled() -> None:
    broken = orjson.dumps(chunk("TEXT")).replace(b"TEXT", b"tail\\")
    assert run(parser(), stream_bytes(chunk("a"), chunk("b"), broken)).failed_as is FailureKind.VENDOR_GARBLED


@pytest.mark.parametrize("text", [b"\xff", b"\\x", b"\\u12", b"\x01", b"\t"])
def test_a_text_that_is_no_json_is_garbled_on_the_short_way_too(text: bytes) -> None:
    broken = orjson.dumps(chunk("TEXT")).replace(b"TEXT", text)
    assert run(parser(), stream_bytes(chunk("a"), chunk("b"), broken)).failed_as is FailureKind.VENDOR_GARBLED


def test_a_field_that_nobody_reads_must_be_json_too() -> None:
    broken = orjson.dumps(chunk("a", more="TEXT")).replace(b"TEXT", b"\xff")
    assert run(parser(), stream_bytes(broken)).failed_as is FailureKind.VENDOR_GARBLED


def test_a_text_cut_by_a_line_end_is_garbled() -> None:
    broken = orjson.dumps(chunk("TEXT")).replace(b"TEXT", b"te\ndata: xt")
    assert run(parser(), stream_bytes(chunk("a"), chunk("b"), broken)).failed_as is FailureKind.VENDOR_GARBLED


def test_a_text_that_stands_elsewhere_too_is_not_mistaken() -> None:
    stream = parser()
    stream.feed(stream_bytes(chunk("c-1"), chunk("c-1", id="another-id"), chunk("c-1", id="a-third-id")))
    assert stream.output_bytes == 9


def test_a_model_named_behind_the_choices_is_replaced_too() -> None:
    chunks = [{"id": "c", "choices": [{"index": 0, "delta": {"content": t}}], "model": "vendor/one"} for t in "abcd"]
    outcome = run(parser(), stream_bytes(*chunks, chunk(finish="stop"), b"[DONE]"))
    assert [payload["model"] for payload in payloads(outcome.client)[:-1]] == ["cat-1"] * 5


_NASTY = st.text(alphabet='a"\\{}[],:\n é\u2028😀model', max_size=12) | st.sampled_from(
    ['"model":"vendor/one-2026"', '"usage":{', '"error":{}', "[DONE]", "\\", '\\"', '"', "}]}", "data: x\n\n"]
)


@given(
    texts=st.lists(_NASTY, max_size=12),
    spaced=st.booleans(),
    ascii_only=st.booleans(),
    size=st.integers(1, 200),
)
def test_whatever_is_generated_the_client_gets_it_and_only_the_model_changes(
    texts: list[str], spaced: bool, ascii_only: bool, size: int
) -> None:
    chunks = [*(chunk(text) for text in texts), chunk(finish="stop"), USAGE_CHUNK]
    separators = (", ", ": ") if spaced else (",", ":")
    data = (
        b"".join(event(json.dumps(c, separators=separators, ensure_ascii=ascii_only).encode()) for c in chunks) + DONE
    )
    outcome = run(parser(client_wants_usage=True), *(data[i : i + size] for i in range(0, len(data), size)))
    assert payloads(outcome.client) == [one | {"model": "cat-1"} for one in chunks] + ["[DONE]"]
    assert outcome.tokens == TokenCounts(input=11, output=3)
    assert outcome.output_bytes == sum(len(json.dumps(t, ensure_ascii=ascii_only).encode()) - 2 for t in texts)


@given(data=st.binary(max_size=300), size=st.integers(1, 50))
def test_any_bytes_end_in_a_failure_and_raise_nothing(data: bytes, size: int) -> None:
    outcome = run(parser(), *(data[i : i + size] for i in range(0, len(data), size)))
    assert outcome.failure is not None
    assert outcome.client == b""


@pytest.mark.parametrize("reason", ["error", "network_error", "insufficient_system_resource"])
def test_a_reason_that_says_that_the_vendor_failed_is_no_end(reason: str) -> None:
    outcome = run(parser(), stream_bytes(ROLE, chunk("a"), chunk(finish=reason), USAGE_CHUNK, b"[DONE]"))
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.VENDOR_BROKE_OFF
    assert reason.encode() not in outcome.client
    assert b"[DONE]" not in outcome.client
