"""Whatever a vendor answers, at any way to it: no exception, and either a whole answer that the client can read, or a
Failure. What the client has got of a broken stream is whole events too, so that the error event can follow."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import ParsedResponse, StreamParser, Vendor, VendorCall, VendorRequest
from schemas.envelope import Surface
from schemas.failures import Failure
from schemas.usage import TokenCounts
from tests.fuzz.answer_samples import STREAMS, Format, format_of, stream_bytes, whole_tree
from tests.fuzz.client_formats import check_answer, check_stream
from tests.fuzz.mutations import Cut, dump, few_byte_cuts, few_cuts, mutated, mutated_bytes
from tests.fuzz.worker_ways import SAMPLES, handle

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEADERS = {"content-type": "application/json", "x-request-id": "v-1", "request-id": "v-1", "x-amzn-requestid": "v-1"}
# What the billing consumer takes for a number of tokens; beyond, it would put the whole attempt aside.
MOST_TOKENS = 10**13


class Asked(NamedTuple):
    """One call at one way. `translated`: the client's bytes are the gateway's own."""

    surface: Surface
    vendor: Vendor
    translated: bool
    call: VendorCall
    answers_in: Format


def _asked(*, streaming: bool) -> Iterator[tuple[str, Asked]]:
    for surface, samples in SAMPLES.items():
        body = samples[-1] if surface == "gemini.generate" else samples[-1] | {"stream": streaming}
        if surface == "openai.embeddings":
            body = {"model": "fuzz", "input": "hello"}
        for destination, call, made in handle(surface, dump(body), streaming=streaming).built:
            assert isinstance(made, VendorRequest), (surface, destination, made)
            row = BUILT_IN[destination.vendor]
            answers_in = format_of(row.wire, surface, responses=row.quirks.responses)
            way = destination.ways[surface]
            name = f"{surface}-{destination.vendor}-{destination.vendor_model}"
            yield name, Asked(surface, way.vendor, way.translated, call, answers_in)


PLAIN = dict(_asked(streaming=False))
STREAMING = {name: asked for name, asked in _asked(streaming=True) if asked.call.streaming}


def check_plain(asked: Asked, body: bytes) -> ParsedResponse | Failure:
    answer = asked.vendor.parse_response(asked.call, 200, HEADERS, body)
    if isinstance(answer, Failure):
        _check_failure(answer)
        return answer
    check_answer(asked.surface, answer.body_for_client, translated=asked.translated)
    _check_facts(answer.tokens, answer.finish_reason, answer.vendor_request_id, answer.output_bytes)
    return answer


def check_streamed(asked: Asked, data: bytes, piece_bytes: int) -> StreamParser:
    parser = asked.vendor.open_stream(asked.call)
    out = b""
    for start in range(0, len(data), piece_bytes):
        out += parser.feed(data[start : start + piece_bytes])
        if parser.failure is not None:
            assert parser.feed(b"more") == b"", "something for the client after a failure"
            break
    failed = parser.failure is not None
    last = parser.finish()
    assert not (failed and last)
    assert parser.ended
    assert parser.complete == (parser.failure is None)
    if parser.failure is not None:
        _check_failure(parser.failure)
    check_stream(asked.surface, out + last, complete=parser.complete, translated=asked.translated)
    _check_facts(parser.tokens, parser.finish_reason, parser.vendor_request_id, parser.output_bytes)
    return parser


def _check_failure(failure: Failure) -> None:
    assert 400 <= failure.http_status < 600
    assert failure.retry_after_s is None or 0 <= failure.retry_after_s < 10**9
    # It travels in a frame, and into an error body.
    assert len(msgspec.json.encode(failure)) < 16_384


def _check_facts(tokens: TokenCounts | None, finish: str | None, vendor_request_id: str | None, output: int) -> None:
    """They go into usage records: JSON of 64-bit numbers, and then columns."""
    assert output >= 0
    for text in (finish, vendor_request_id):
        assert text is None or len(msgspec.json.encode(text)) < 16_384
    if tokens is not None:
        figures: dict[str, int] = msgspec.to_builtins(tokens)
        assert all(type(figure) is int and 0 <= figure <= MOST_TOKENS for figure in figures.values()), tokens


@pytest.mark.parametrize("name", PLAIN)
@FEW
@given(few_cuts, st.one_of(st.just([]), few_byte_cuts))
def test_any_change_of_a_whole_answer(name: str, cuts: Sequence[Cut], byte_cuts: Sequence[Cut]) -> None:
    asked = PLAIN[name]
    tree: Any = mutated(whole_tree(asked.answers_in, asked.surface), cuts)
    check_plain(asked, mutated_bytes(dump(tree), byte_cuts))


@pytest.mark.parametrize("name", STREAMING)
@FEW
@given(few_cuts, st.one_of(st.just([]), few_byte_cuts), st.sampled_from([1, 7, 64, 100_000]))
def test_any_change_of_a_stream(name: str, cuts: Sequence[Cut], byte_cuts: Sequence[Cut], piece_bytes: int) -> None:
    asked = STREAMING[name]
    tree = mutated(STREAMS[asked.answers_in], cuts)
    check_streamed(asked, mutated_bytes(stream_bytes(asked.answers_in, tree), byte_cuts), piece_bytes)


@pytest.mark.parametrize("name", PLAIN)
def test_the_samples_are_valid(name: str) -> None:
    """Else the changes above would be changes of what is refused anyway."""
    asked = PLAIN[name]
    answer = check_plain(asked, dump(whole_tree(asked.answers_in, asked.surface)))
    assert isinstance(answer, ParsedResponse), answer
    assert answer.tokens is not None or asked.surface == "anthropic.count_tokens"


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("piece_bytes", [1, 100_000])
def test_the_sample_streams_are_valid(name: str, piece_bytes: int) -> None:
    asked = STREAMING[name]
    parser = check_streamed(asked, stream_bytes(asked.answers_in, STREAMS[asked.answers_in]), piece_bytes)
    assert parser.complete, parser.failure
    assert parser.tokens is not None


@pytest.mark.parametrize("name", PLAIN)
@FEW
@given(
    st.integers(300, 599),
    st.one_of(st.binary(max_size=300), st.builds(lambda cuts: dump(mutated(_ERROR, cuts)), few_cuts)),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset"]), st.text(max_size=20)),
)
def test_any_refusal(name: str, status: int, body: bytes, headers: dict[str, str]) -> None:
    failure = PLAIN[name].vendor.classify_error(status, HEADERS | headers, body, 1_700_000_000_000)
    assert failure.http_status >= 400
    _check_failure(failure)


_ERROR: Any = {
    "type": "error",
    "message": "bad thing",
    "code": 3051,
    "object": "error",
    "error": {
        "code": 429,
        "message": "bad thing",
        "type": "invalid_request_error",
        "param": "messages",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
        ],
    },
    "detail": [{"loc": ["body", "x"], "msg": "bad"}],
}
