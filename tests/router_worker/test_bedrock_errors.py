"""AWS error types become kinds of failure; the client sees the vendor's words only of a refusal."""

import msgspec
import pytest

from router_worker.vendors.bedrock.stream import BedrockStream
from schemas.failures import Failure, FailureKind
from tests.router_worker.bedrock_samples import SERVICE, WIRE
from tests.router_worker.event_stream_frames import event

K = FailureKind
NOW_MS = 1_763_800_000_000

TYPES = [
    ("ThrottlingException", 429, K.VENDOR_RATE_LIMITED),
    ("ServiceQuotaExceededException", 400, K.VENDOR_RATE_LIMITED),
    ("TooManyRequestsException", 429, K.VENDOR_RATE_LIMITED),
    ("ModelNotReadyException", 429, K.VENDOR_ERROR),
    ("ModelTimeoutException", 408, K.VENDOR_ERROR),
    ("ModelErrorException", 424, K.VENDOR_ERROR),
    ("ModelStreamErrorException", 424, K.VENDOR_ERROR),
    ("InternalServerException", 500, K.VENDOR_ERROR),
    ("ServiceUnavailableException", 503, K.VENDOR_ERROR),
    ("ConflictException", 400, K.VENDOR_ERROR),
    ("ValidationException", 400, K.VENDOR_REFUSED_REQUEST),
    ("AccessDeniedException", 403, K.VENDOR_REFUSED_KEY),
    ("ExpiredTokenException", 403, K.VENDOR_REFUSED_KEY),
    ("UnrecognizedClientException", 403, K.VENDOR_REFUSED_KEY),
    ("InvalidSignatureException", 403, K.VENDOR_REFUSED_KEY),
    ("MissingAuthenticationTokenException", 403, K.VENDOR_REFUSED_KEY),
    ("ResourceNotFoundException", 404, K.VENDOR_MODEL_UNKNOWN),
]


def classified(status: int, headers: dict[str, str], body: bytes) -> Failure:
    return WIRE.classify_error(status, headers, body, NOW_MS)


@pytest.mark.parametrize(("name", "status", "kind"), TYPES)
def test_types_in_header_and_body(name: str, status: int, kind: FailureKind) -> None:
    said = msgspec.json.encode({"message": "It was so."})
    by_header = classified(status, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"}, said)
    by_body = classified(status, {}, msgspec.json.encode({"__type": f"com.amazon.x#{name}", "Message": "It was so."}))
    assert by_header == by_body
    assert by_header.kind is kind
    if kind is K.VENDOR_REFUSED_REQUEST:
        assert (by_header.message, by_header.code, by_header.status) == ("It was so.", name, status)
    else:
        assert by_header.message is None


def test_every_error_that_botocore_knows_of_converse_is_classified() -> None:
    operation = SERVICE.operation_model("ConverseStream")
    names = {shape.name for shape in operation.error_shapes}
    assert names
    assert names <= {name for name, _, _ in TYPES}


@pytest.mark.parametrize(
    ("name", "status", "text", "kind"),
    [
        ("ValidationException", 400, "The provided model identifier is invalid.", K.VENDOR_MODEL_UNKNOWN),
        (
            "ValidationException",
            400,
            "Invocation of model ID x with on-demand throughput isn’t supported. Retry with an inference profile.",
            K.VENDOR_MODEL_UNKNOWN,
        ),
        ("ValidationException", 400, "Operation not allowed", K.VENDOR_REFUSED_KEY),
        (
            "AccessDeniedException",
            403,
            "You don't have access to the model with the specified model ID.",
            K.VENDOR_MODEL_UNKNOWN,
        ),
        (
            "AccessDeniedException",
            403,
            "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided.",
            K.VENDOR_PAYMENT_REQUIRED,
        ),
        (None, 429, "Too many tokens, please wait before trying again.", K.VENDOR_RATE_LIMITED),
        (None, 403, "The security token included in the request is expired", K.VENDOR_REFUSED_KEY),
        ("BrandNewException", 400, "No.", K.VENDOR_REFUSED_REQUEST),
        ("BrandNewException", 503, "No.", K.VENDOR_ERROR),
    ],
)
def test_texts_that_say_more_than_their_type(name: str | None, status: int, text: str, kind: FailureKind) -> None:
    headers = {} if name is None else {"x-amzn-errortype": name}
    assert classified(status, headers, msgspec.json.encode({"message": text})).kind is kind


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'{"message":', b"[" * 100_000])
def test_words_of_something_in_between_say_nothing_of_the_request(body: bytes) -> None:
    assert classified(400, {}, body).kind is K.VENDOR_ERROR
    assert classified(502, {}, body).kind is K.VENDOR_ERROR
    assert classified(429, {}, body).kind is K.VENDOR_RATE_LIMITED
    assert classified(400, {"x-amzn-errortype": "ThrottlingException"}, body).kind is K.VENDOR_RATE_LIMITED


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Sat, 22 Nov 2025 08:26:50 GMT", 10.0), ("soon", None), (None, None)]
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    headers = {"x-amzn-errortype": "ThrottlingException"} | ({} if header is None else {"retry-after": header})
    assert classified(429, headers, b'{"message":"Slow down"}').retry_after_s == seconds


def test_what_looks_like_a_key_is_not_shown() -> None:
    said = msgspec.json.encode({"message": "Bad value sk-abcdef0123456789 for you"})
    failure = classified(400, {"x-amzn-errortype": "ValidationException"}, said)
    assert failure.message is not None
    assert "abcdef" not in failure.message


def test_request_id() -> None:
    assert WIRE.request_id({"x-amzn-requestid": "r1"}) == "r1"
    assert WIRE.request_id({}) is None


def test_figures_that_cannot_be_read_do_not_cost_the_client_its_answer() -> None:
    stream = BedrockStream(by_tool=False)
    stream.feed(event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}}))
    stream.feed(event("messageStop", {"stopReason": "end_turn"}))
    stream.feed(event("metadata", {"usage": {"inputTokens": -1, "outputTokens": 2}}))
    assert (stream.complete, stream.failure, stream.tokens) == (True, None, None)
