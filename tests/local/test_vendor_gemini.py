"""The simulator as Google Gemini: what it refuses, what it answers, and what that costs."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.vendors.behaviour import parse_behaviour
from deploy.local.vendors.complaints import BodyReader
from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.gemini_names import in_camel_case
from deploy.local.vendors.gemini_reading import generate_ask
from deploy.local.vendors.gemini_request import GenerateRequest
from deploy.local.vendors.gemini_wire import GeminiWire
from deploy.local.vendors.generation import Plan
from deploy.local.vendors.ledger import Ledger
from deploy.local.vendors.prices import load_prices
from deploy.local.vendors.server import start_server

Json = dict[str, Any]
MODELS = "/sim-gemini/v1beta/models"
HEADERS = {"x-goog-api-key": "k", "Content-Type": "application/json"}
WEATHER: Json = {
    "name": "get_weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}
CLOCK: Json = {"name": "clock", "parametersJsonSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
TOOLS: Json = {"tools": [{"functionDeclarations": [WEATHER, CLOCK]}]}
THOUGHTS: Json = {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 100}}
IMAGE: Json = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
PDF: Json = {"fileData": {"mimeType": "application/pdf", "fileUri": "https://files.example/1"}}
CALL: Json = {"functionCall": {"name": "get_weather", "args": {"city": "x"}}}
RESULT: Json = {"functionResponse": {"name": "get_weather", "response": {"output": "sunny"}}}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    server = await start_server(Vendors(Ledger(time.time), load_prices(), "t"))
    async with aiohttp.ClientSession(server.url, headers=HEADERS, timeout=aiohttp.ClientTimeout(5)) as session:
        yield session
    await server.close()


def user(*parts: Json | str) -> Json:
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def model(*parts: Json) -> Json:
    return {"role": "model", "parts": list(parts)}


def body(**fields: Any) -> Json:
    return {"contents": [user("one two three")], **fields}


async def post(
    http: aiohttp.ClientSession, request: Json, name: str = "echo", method: str = "generateContent"
) -> tuple[int, Json]:
    async with http.post(f"{MODELS}/{name}:{method}", json=request) as response:
        return response.status, await response.json(content_type=None)


async def stream(http: aiohttp.ClientSession, request: Json, name: str = "echo") -> list[Json]:
    async with http.post(f"{MODELS}/{name}:streamGenerateContent?alt=sse", json=request) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        return chunks_of(await response.read())


def chunks_of(sent: bytes) -> list[Json]:
    assert sent.endswith(b"\r\n\r\n")
    return [json.loads(event.removeprefix("data: ")) for event in sent.decode().split("\r\n\r\n")[:-1]]


def parts_of(answer: Json) -> list[Json]:
    parts: list[Json] = answer["candidates"][0]["content"]["parts"]
    return parts


def joined(parts: list[Json]) -> list[Json]:
    """As a client joins what it is sent: texts of a kind become one; a signature stays with the last of them."""
    whole: list[Json] = []
    for part in parts:
        last = whole[-1] if whole else {}
        if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
            whole[-1] = {**last, **part, "text": last["text"] + part["text"]}
        elif part != {"text": ""}:
            whole.append(part)
    return whole


async def ledger_of(http: aiohttp.ClientSession) -> list[Json]:
    async with http.get("/ledger") as response:
        calls: list[Json] = (await response.json())["calls"]
        return calls


@pytest.mark.parametrize("gap", ["", ":gap_ms=1"])
@pytest.mark.parametrize("name", ["tool", "gemini-3-pro"])
async def test_tool_loop_with_thoughts(http: aiohttp.ClientSession, gap: str, name: str) -> None:
    forced = {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}} if name != "tool" else {}
    calls = ":calls=2" if name == "tool" else ""
    request = body(**TOOLS, **forced, generationConfig=THOUGHTS)
    chunks = await stream(http, request, f"{name}{calls}{gap}")
    parts = joined([part for chunk in chunks for part in parts_of(chunk)])
    assert parts[0] == {"text": "Thinking about: one two three", "thought": True}
    called = parts[1:]
    assert [part["functionCall"]["name"] for part in called] == ["get_weather", "clock"][: len(called)]
    assert called[0]["functionCall"]["args"] == {"city": "one two three"}
    # Only Gemini 3 names its calls; only the first of parallel calls is signed.
    assert ["id" in part["functionCall"] for part in called] == [name != "tool"] * len(called)
    assert ["thoughtSignature" in part for part in called] == [True, False][: len(called)]
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks[-2:]] == [None, "STOP"]
    usage = chunks[-1]["usageMetadata"]
    assert usage["thoughtsTokenCount"] == 5
    assert usage["totalTokenCount"] == sum(usage[f"{kind}TokenCount"] for kind in ("prompt", "candidates", "thoughts"))

    answers = [
        {"functionResponse": {"name": part["functionCall"]["name"], "response": {"output": f"r{number}"}}}
        for number, part in enumerate(called)
    ]
    history = [user("one two three"), model(*called), user(*answers)]
    status, answer = await post(http, body(**TOOLS, **forced, contents=history), name)
    expected = 'The tools answered: "r0", "r1"' if name == "tool" else 'The tools answered: "r0"'
    assert (status, parts_of(answer)[-1]["text"]) == (200, expected)
    unsigned = [
        user("one two three"),
        model(*({"functionCall": part["functionCall"]} for part in called)),
        user(*answers),
    ]
    assert (await post(http, body(**TOOLS, contents=unsigned), name))[0] == (200 if name == "tool" else 400)


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "maxOutputTokens": st.integers(1, 12),
        "candidateCount": st.integers(1, 2),
        "thinkingConfig": st.sampled_from([{"includeThoughts": True}, {"thinkingBudget": 2}, {"thinkingLevel": "LOW"}]),
        "responseMimeType": st.just("application/json"),
        "stopSequences": st.just(["two"]),
    },
)
BEHAVIOURS = ["echo", "tool:calls=3", "tool:chunks=9", "huge:kb=2", "echo:cached_tokens=1:chunks=9", "gemini-3"]


@given(CONFIGS, st.sampled_from(BEHAVIOURS))
def test_a_stream_makes_the_answer_that_is_sent_as_a_whole(config: Json, name: str) -> None:
    request = BodyReader(GenerateRequest).read(json.dumps(body(**TOOLS, generationConfig=config)).encode())
    ask = generate_ask(name, True, request)
    plan = Plan(parse_behaviour(name), ask)
    wire = GeminiWire(GenerateRequest, lambda name, request: generate_ask(name, True, request), True)
    frames = wire.frames("i", 1, ask, plan, True)
    sent = [frames.opening(), *map(frames.piece, range(len(plan.pieces))), frames.closing()]
    chunks = chunks_of(b"".join(sent))
    whole = json.loads(wire.reply("i", 1, ask, plan, True))
    assert len(whole["candidates"]) == config.get("candidateCount", 1)
    texts = joined([part for chunk in chunks for part in parts_of(chunk)])
    assert texts == parts_of(whole)
    assert chunks[-1]["usageMetadata"] == whole["usageMetadata"]
    assert chunks[-1]["candidates"][0]["finishReason"] == whole["candidates"][0]["finishReason"]
    totals = [chunk["usageMetadata"]["totalTokenCount"] for chunk in chunks]
    assert totals == sorted(totals)
    assert totals[-1] == plan.prompt_tokens + plan.completion_tokens


async def test_what_an_answer_holds(http: aiohttp.ClientSession) -> None:
    async def said(**fields: Any) -> tuple[str, Json]:
        status, answer = await post(http, body(**fields))
        assert status == 200, answer
        return "".join(part["text"] for part in parts_of(answer)), answer["candidates"][0]

    assert (await said())[0] == "one two three"
    assert (await said(contents=[user("hi", IMAGE, PDF)]))[0] == "saw 1 image and 1 document: hi"
    assert (await said(generationConfig={"stopSequences": [" three"]}))[0] == "one two"
    words, candidate = await said(generationConfig={"maxOutputTokens": 2})
    assert (words, candidate["finishReason"]) == ("one two", "MAX_TOKENS")
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "minimum": 4}, "s": {"type": "STRING"}}}
    words, _ = await said(generationConfig={"responseMimeType": "application/json", "responseSchema": schema})
    assert json.loads(words) == {"n": 4, "s": "one two three"}
    only = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["clock"]}}
    _, answer = await post(http, body(**TOOLS, toolConfig=only))
    assert parts_of(answer) == [{"functionCall": {"name": "clock", "args": {"n": 1}}}]


async def test_snake_case_is_taken_too(http: aiohttp.ClientSession) -> None:
    image = {"inline_data": {"mime_type": "image/png", "data": "aGk"}}
    declaration = {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}}}}
    request = body(contents=[user("x", image)], tools=[{"function_declarations": [declaration]}])
    _, answer = await post(http, {**request, "generation_config": {"max_output_tokens": 99}}, "tool")
    assert parts_of(answer)[0]["functionCall"]["args"] == {"a_b": "saw 1 image: x"}
    free = {"function_call": {"name": "f_g", "args": {"a_b": {"c_d": 1}}}}
    assert json.loads(in_camel_case(json.dumps(free).encode())) == {
        "functionCall": {"name": "f_g", "args": {"a_b": {"c_d": 1}}}
    }


CONTENTS: list[tuple[list[Json], str]] = [
    ([], "contents"),
    ([model({"text": "x"})], "contents[0].role"),
    ([{"role": "assistant", "parts": [{"text": "x"}]}], "contents[0].role"),
    ([{"role": "user", "content": "x"}], "content"),
    ([{"role": "user", "parts": [{}]}], "contents[0].parts[0].data"),
    ([user({"text": "x", **IMAGE})], "contents[0].parts[0].data"),
    ([user({"type": "text", "text": "x"})], "Unknown name \"type\" at 'contents[0].parts[0]'"),
    ([user({"inlineData": {"mimeType": "image/png", "data": "!"}})], "contents[0].parts[0].inlineData.data"),
    ([user(CALL)], "contents[0].parts[0].functionCall"),
    ([user("x"), model(CALL), user("y")], "contents[2].parts"),
    ([user("x"), model(CALL), user(RESULT, RESULT)], "contents[2].parts"),
    ([user("x"), model({"text": "y"}), user(RESULT)], "contents[2].parts"),
    ([user("x"), model({"functionCall": {"name": "f", "args": "{}"}}), user(RESULT)], "functionCall.args"),
    ([user("x"), model(CALL), user({"functionResponse": {"name": "other", "response": {}}})], "contents[2].parts"),
    ([user("x"), model({**CALL, "thoughtSignature": "b3RoZXI="}), user(RESULT)], "parts[0].thoughtSignature"),
    ([user("x"), model(CALL), user({"functionResponse": {"name": "get_weather", "response": "s"}})], "response"),
    ([user("x"), model({"text": "y"})], "contents[1].role"),
]
CLOSED = {"type": "object", "additionalProperties": False}
FIELDS: list[tuple[Json, str]] = [
    ({"messages": []}, 'Unknown name "messages"'),
    ({"model_name": "x"}, 'Unknown name "modelName"'),
    ({"generationConfig": {"maxTokens": 3}}, "Unknown name \"maxTokens\" at 'generationConfig'"),
    ({"generationConfig": {"temperature": 3}}, "generationConfig.temperature"),
    ({"generationConfig": {"stopSequences": ["x"] * 6}}, "generationConfig.stopSequences"),
    ({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}, "generationConfig.responseMimeType"),
    ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}}, "thinkingConfig"),
    ({"tools": [{"function_declarations": []}]}, "tools[0].functionDeclarations"),
    ({"tools": [{"functionDeclarations": [{"name": "a b"}]}]}, "tools[0].functionDeclarations[0].name"),
    ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": CLOSED}]}]}, '"additionalProperties"'),
    ({"tools": [{"functionDeclarations": [WEATHER, WEATHER]}]}, "tools"),
    ({**TOOLS, "toolConfig": {"functionCallingConfig": {"mode": "required"}}}, "functionCallingConfig.mode"),
    ({**TOOLS, "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["clock"]}}}, "allowedFunctionNames"),
    ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "functionCallingConfig.mode"),
    ({"systemInstruction": "be brief"}, "systemInstruction"),
    *[({"contents": contents}, place) for contents, place in CONTENTS],
]


@pytest.mark.parametrize(("fields", "place"), FIELDS)
async def test_a_wrong_field_is_refused_by_name(http: aiohttp.ClientSession, fields: Json, place: str) -> None:
    status, answer = await post(http, body(**fields))
    error = answer["error"]
    assert (status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert place in error["message"]
    assert error["details"][0]["fieldViolations"][0]["field"]
    [call] = await ledger_of(http)
    assert (call["outcome"], call["model"], call["stream"], call["cost_usd"]) == ("error", "echo", False, "0")


async def test_key_and_path(http: aiohttp.ClientSession) -> None:
    for path, headers, status in [
        ("/v1beta/models/echo:generateContent", {"x-goog-api-key": ""}, 403),
        ("/v1beta/models/echo:generateContent", {"x-goog-api-key": "bad"}, 400),
        ("/v1beta/models/echo:generateContent", {"Content-Type": "text/plain"}, 400),
        ("/v1beta/models/echo:generateContent?alt=sse", {}, 400),
        ("/v1beta/models/echo:streamGenerateContent", {}, 400),
        ("/v1beta/models/echo:generate", {}, 404),
        ("/v1/models/echo:generateContent", {}, 200),
        ("/v1beta/models/echo%3Achunks%3D1:generateContent", {}, 200),
    ]:
        async with http.post(f"/sim-gemini{path}", data=json.dumps(body()), headers=headers) as response:
            assert response.status == status, (path, headers)
    assert [call["model"] for call in await ledger_of(http)][-1] == "echo:chunks=1"


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("status:code=429:retry_after_s=3", 429, "RESOURCE_EXHAUSTED"),
        ("status:code=503", 503, "UNAVAILABLE"),
        ("status:code=500", 500, "INTERNAL"),
        ("bad-key", 400, "INVALID_ARGUMENT"),
        ("context-length", 400, "INVALID_ARGUMENT"),
    ],
)
async def test_errors(http: aiohttp.ClientSession, name: str, status: int, word: str) -> None:
    async with http.post(f"{MODELS}/{name}:generateContent", json=body()) as response:
        error = (await response.json())["error"]
        assert "Retry-After" not in response.headers
    assert (response.status, error["code"], error["status"]) == (status, status, word)
    details = error.get("details", [{}])[0]
    assert details.get("retryDelay") == ("3s" if status == 429 else None)
    assert details.get("reason") == ("API_KEY_INVALID" if name == "bad-key" else None)


async def test_faults_in_the_middle(http: aiohttp.ClientSession) -> None:
    chunks = await stream(http, body(), "error-in-stream:chunks=2")
    assert [next(iter(chunk)) for chunk in chunks] == ["candidates", "candidates", "error"]
    with pytest.raises(aiohttp.ClientPayloadError):
        await stream(http, body(), "break-after:chunks=2")
    assert not [chunk for chunk in await stream(http, body(), "echo:no_usage") if "usageMetadata" in chunk]
    failed, broken, unsaid = await ledger_of(http)
    assert (failed["outcome"], failed["completion_tokens"]) == ("error", 2)
    assert (broken["outcome"], broken["completion_tokens"]) == ("broken", 2)
    assert (unsaid["usage_sent"], unsaid["cost_usd"]) == (False, "0.000009")


async def test_counts_and_embeddings(http: aiohttp.ClientSession) -> None:
    _, answer = await post(http, body(), method="countTokens")
    assert answer["totalTokens"] == 3
    inner = {"generateContentRequest": body(model="models/echo", systemInstruction={"parts": [{"text": "be brief"}]})}
    assert (await post(http, inner, method="countTokens"))[1]["totalTokens"] == 5
    one = {"content": {"parts": [{"text": "a b"}]}, "outputDimensionality": 4}
    _, answer = await post(http, one, method="embedContent")
    values = answer["embedding"]["values"]
    assert (len(values), round(sum(value * value for value in values), 9)) == (4, 1)
    batch = {"requests": [{**one, "model": "models/echo"}] * 2}
    _, answer = await post(http, batch, method="batchEmbedContents")
    assert [embedding["values"] for embedding in answer["embeddings"]] == [values] * 2
    status, answer = await post(http, {"requests": [one]}, method="batchEmbedContents")
    assert (status, "requests[0].model" in answer["error"]["message"]) == (400, True)
    costs = [(call["prompt_tokens"], call["cost_usd"]) for call in await ledger_of(http)]
    assert costs == [(0, "0"), (0, "0"), (2, "0.000002"), (4, "0.000004"), (0, "0")]


@pytest.mark.parametrize("version", ["v1beta", "v1"])
async def test_models_in_googles_own_list(http: aiohttp.ClientSession, version: str) -> None:
    async with http.get(f"/sim-gemini/{version}/models") as response:
        assert "models/echo" in {model["name"] for model in (await response.json())["models"]}
