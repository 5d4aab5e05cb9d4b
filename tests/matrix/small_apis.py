"""The client APIs that are no chat: OpenAI's embeddings with four vendors' formats, Anthropic's count of tokens.

Sources: OpenAI API reference, "Create embeddings"; Gemini API reference, "Embeddings" (batchEmbedContents); Cohere API
reference, "Embed" (v2); Mistral API reference, "Embeddings"; Claude API reference, "Count tokens".
"""

import base64
import json
import struct
from typing import Any, Literal

from openai.types import CreateEmbeddingResponse

from router_worker.rating import cost_pico_usd
from router_worker.vendors.vendor import ParsedResponse
from schemas.failures import Failure
from tests.matrix.cells import (
    PRICE,
    Sent,
    WireSamples,
    error_shown,
    failure_facts,
    send,
    token_facts,
)
from tests.matrix.meaning import MODEL, PRICES, QUESTION, SYSTEM, Json, gateway_fields
from tests.matrix.sse_events import dumps
from tests.matrix.wire_anthropic import AnthropicWire
from tests.matrix.wire_cohere import CohereWire
from tests.matrix.wire_gemini import GeminiWire
from tests.matrix.wire_mistral import MistralWire
from tests.matrix.wire_openai import OpenAiWire

EMBEDDING_WIRES: tuple[WireSamples, ...] = (OpenAiWire(), GeminiWire(), CohereWire(), MistralWire())
EmbeddingScenario = Literal["plain", "base64", "error"]
CountScenario = Literal["plain", "error"]
EMBEDDING_SCENARIOS: tuple[EmbeddingScenario, ...] = ("plain", "base64", "error")
COUNTING_WIRE = AnthropicWire()

# Numbers that a 32-bit float holds exactly, so that base64 and JSON can be compared.
VECTORS = ([0.5, -0.25, 0.0078125], [-1.0, 0.125, 2.5])
TEXTS = [QUESTION, "Köln \U0001f600"]
DIMENSIONS = 256
INPUT_TOKENS = 17


def embeddings_request(scenario: EmbeddingScenario) -> Json:
    body: Json = {"model": MODEL, "input": TEXTS, "dimensions": DIMENSIONS}
    if scenario == "base64":
        body["encoding_format"] = "base64"
    return body | gateway_fields(streaming=False)


def sent_to(wire: WireSamples, scenario: EmbeddingScenario) -> Sent:
    body = embeddings_request(scenario)
    sent = send("openai.embeddings", wire, body, streaming=False, path_model=None)
    assert not isinstance(sent, Failure), sent
    _check_embeddings_request(wire, sent)
    return sent


def _check_embeddings_request(wire: WireSamples, sent: Sent) -> None:
    request = sent.body
    match wire.name:
        case "gemini":
            assert sent.request.url_path == f"/models/{wire.vendor_model}:batchEmbedContents"
            texts = [each["content"]["parts"][0]["text"] for each in request["requests"]]
            dimensions = {each["outputDimensionality"] for each in request["requests"]}
        case "cohere":
            assert sent.request.url_path == "/v2/embed"
            texts, dimensions = request["texts"], {request["output_dimension"]}
        case "mistral":
            texts, dimensions = request["input"], {request["output_dimension"]}
        case _:
            texts, dimensions = request["input"], {request["dimensions"]}
    assert (texts, dimensions) == (TEXTS, {DIMENSIONS})


def vendor_embeddings(wire: WireSamples, request: Json) -> Json:
    match wire.name:
        case "gemini":
            return {
                "embeddings": [{"values": vector} for vector in VECTORS],
                "usageMetadata": {"promptTokenCount": INPUT_TOKENS, "promptTokensDetails": []},
            }
        case "cohere":
            return {
                "id": "5807ee2e-0cda-445a-9ec8-864c60a06606",
                "embeddings": {"float": list(VECTORS)},
                "texts": TEXTS,
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": float(INPUT_TOKENS)}},
                "response_type": "embeddings_by_type",
            }
    vectors: list[Any] = list(VECTORS)
    if request.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() for vector in vectors]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS}
    return {"object": "list", "data": data, "model": wire.vendor_model, "usage": usage}


def tell_embeddings(wire: WireSamples, scenario: EmbeddingScenario) -> list[Json]:
    sent = sent_to(wire, scenario)
    if scenario == "error":
        return tell_errors("openai.embeddings", wire, sent)
    answer = vendor_embeddings(wire, sent.body)
    parsed = sent.vendor.parse_response(sent.call, 200, {}, dumps(answer).encode())
    assert isinstance(parsed, ParsedResponse), parsed
    client = json.loads(parsed.body_for_client)
    assert (client["object"], client["model"]) == ("list", MODEL)
    assert [each["index"] for each in client["data"]] == [0, 1]
    if scenario == "base64":
        raws = [base64.b64decode(each["embedding"], validate=True) for each in client["data"]]
        assert [list(struct.unpack(f"<{len(raw) // 4}f", raw)) for raw in raws] == list(VECTORS)
    else:
        understood = CreateEmbeddingResponse.model_validate(client)
        assert [each.embedding for each in understood.data] == list(VECTORS)
    assert client["usage"]["prompt_tokens"] == client["usage"]["total_tokens"] == INPUT_TOKENS
    assert parsed.tokens is not None
    assert {name: count for name, count in token_facts(parsed.tokens).items() if count} == {"input": INPUT_TOKENS}
    cost = cost_of(parsed)
    assert cost == INPUT_TOKENS * PRICES.input * 10**6
    return [_written(sent, answer, client, parsed, cost)]


def tell_count(scenario: CountScenario) -> list[Json]:
    body: Json = {"model": MODEL, "system": SYSTEM, "messages": [{"role": "user", "content": QUESTION}]}
    body |= gateway_fields(streaming=False)
    sent = send("anthropic.count_tokens", COUNTING_WIRE, body, streaming=False, path_model=None)
    assert not isinstance(sent, Failure), sent
    assert sent.request.url_path == "/messages/count_tokens"
    assert sent.body == {
        "model": COUNTING_WIRE.vendor_model,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    if scenario == "error":
        return tell_errors("anthropic.count_tokens", COUNTING_WIRE, sent)
    answer = {"input_tokens": 14}
    parsed = sent.vendor.parse_response(sent.call, 200, {}, dumps(answer).encode())
    assert isinstance(parsed, ParsedResponse), parsed
    client = json.loads(parsed.body_for_client)
    assert client == answer
    cost = cost_of(parsed)
    assert cost == 0, "the vendor charges nothing for it"
    return [_written(sent, answer, client, parsed, cost)]


def tell_errors(
    surface: Literal["openai.embeddings", "anthropic.count_tokens"], wire: WireSamples, sent: Sent
) -> list[Json]:
    told = []
    for error in wire.errors.values():
        failure = sent.vendor.classify_error(error.status, error.headers, error.body, sent.call.now_ms)
        facts = (failure.kind.value, failure.retry_after_s, failure.rule.advance, failure.http_status)
        assert facts == (error.kind, error.retry_after_s, error.advance, error.status)
        shown = error_shown(surface, failure)
        assert shown["error"]["message"]
        told.append(
            {
                "vendor_answer": {"status": error.status, "body": json.loads(error.body)},
                "client_gets": {"status": failure.http_status, "body": shown},
                "failure": failure_facts(failure),
            }
        )
    return told


def cost_of(parsed: ParsedResponse) -> int:
    assert parsed.tokens is not None
    return cost_pico_usd(parsed.tokens, PRICE)


def _written(sent: Sent, answer: Json, client: Json, parsed: ParsedResponse, cost: int) -> Json:
    return {
        "client_request": sent.client_request,
        "vendor_request": {
            "path": sent.request.url_path,
            "body": sent.body,
            "dropped": list(sent.request.dropped),
        },
        "vendor_answer": {"body": answer},
        "client_gets": {"body": client},
        "tokens": token_facts(parsed.tokens),
        "cost_pico_usd": cost,
    }
