"""Embeddings, passed through: only the model changes, and vectors stay as they are, byte for byte."""

import orjson
import pytest

from router_worker.vendors.openai.embeddings import OpenAiEmbeddings
from router_worker.vendors.table import BUILT_IN
from router_worker.vendors.vendor import ParsedResponse, VendorRequest
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.openai_samples import call


def embeddings(row: str = "openai") -> OpenAiEmbeddings:
    return OpenAiEmbeddings(BUILT_IN[row])


def sent(body: bytes, row: str = "openai") -> VendorRequest:
    request = embeddings(row).build_request(call(body, attempt_id="r.0.1"))
    assert isinstance(request, VendorRequest)
    return request


def test_only_the_model_changes_and_what_is_the_gateways_goes() -> None:
    body = b'{"input":[ "\\u00e9",[1,2] ],"model":"cat-1","encoding_format":"base64","dimensions":8,"x_new":1.50}'
    request = sent(body.replace(b'"x_new"', b'"tags":["a"],"x_new"'))
    assert request.body == body.replace(b'"cat-1"', b'"vendor/one"')
    assert request.url_path == "/embeddings"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["X-Tollhouse-Attempt-Id"] == "r.0.1"


def test_mistral_has_its_own_name_for_dimensions_and_refuses_labels() -> None:
    body = b'{"model":"m","input":"a","dimensions":8,"user":"u"}'
    assert sent(body, "mistral").body == b'{"model":"vendor/one","input":"a","output_dimension":8}'
    both = b'{"model":"m","input":"a","dimensions":8,"output_dimension":4}'
    assert orjson.loads(sent(both, "mistral").body)["output_dimension"] == 4


def parsed(body: bytes, headers: dict[str, str] | None = None) -> ParsedResponse | Failure:
    return embeddings().parse_response(call(), 200, headers or {}, body)


@pytest.mark.parametrize("vector", [b'"AACAPw=="', b"[0.10, -1e-05,2]"])
def test_vectors_stay_as_they_are(vector: bytes) -> None:
    body = (
        b'{"object":"list","data":[{"object":"embedding","embedding":' + vector + b',"index":0}],'
        b'"model":"vendor/one","usage":{"prompt_tokens":5,"total_tokens":5}}'
    )
    answer = parsed(body, {"x-request-id": "r-1"})
    assert isinstance(answer, ParsedResponse)
    assert answer.body_for_client == body.replace(b"vendor/one", b"cat-1")
    assert (answer.tokens, answer.vendor_request_id) == (TokenCounts(input=5, output=0), "r-1")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (b'{"prompt_tokens":5,"total_tokens":5,"completion_tokens":0}', TokenCounts(input=5)),
        (b'{"total_tokens":7}', TokenCounts(input=7)),
        (b"{}", None),
        (b"null", None),
        (b'{"prompt_tokens":-1}', None),
        (b'{"prompt_tokens":"5"}', None),
    ],
)
def test_tokens(usage: bytes, tokens: TokenCounts | None) -> None:
    answer = parsed(b'{"data":[],"usage":' + usage + b"}")
    assert isinstance(answer, ParsedResponse)
    assert answer.tokens == tokens


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.VENDOR_GARBLED),
        (b"[]", FailureKind.VENDOR_GARBLED),
        (b'{"data":null}', FailureKind.VENDOR_GARBLED),
        (b'{"data":[],"x":"\xff"}', FailureKind.VENDOR_GARBLED),
        (b'{"data":' + b"[" * 100_000, FailureKind.VENDOR_GARBLED),
        (b'{"error":{"message":"too long","code":400}}', FailureKind.VENDOR_REFUSED_REQUEST),
    ],
)
def test_what_is_no_answer(body: bytes, kind: FailureKind) -> None:
    failure = parsed(body)
    assert isinstance(failure, Failure)
    assert failure.kind is kind


def test_errors_have_the_kinds_of_chat() -> None:
    failure = embeddings().classify_error(429, {"retry-after": "7"}, b'{"error":{"message":"slow"}}', 0)
    assert (failure.kind, failure.retry_after_s) == (FailureKind.VENDOR_RATE_LIMITED, 7.0)
