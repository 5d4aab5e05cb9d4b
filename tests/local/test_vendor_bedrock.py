"""The simulated Bedrock: what Converse answers, what it refuses and how it says so, signatures, the event stream."""

import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.local.simulated_vendors import last_call, post, simulated_vendors

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "one two three"}]}]}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}]}
PIXEL = base64.b64encode(b"pixel").decode()


# Signed by botocore 1.44 with the simulator's key pair, for the body SIGNED_BODY at SIGNED_AT_S.
@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with simulated_vendors() as session:
        yield session


async def converse(http: aiohttp.ClientSession, model: str = "echo", **fields: Any) -> tuple[int, dict[str, Any]]:
    return await post(http, f"/bedrock/model/{model}/converse", {**HELLO, **fields})


async def converse_stream(
    http: aiohttp.ClientSession, model: str = "echo", **fields: Any
) -> list[tuple[str, dict[str, Any]]]:
    async with http.post(f"/bedrock/model/{model}/converse-stream", json={**HELLO, **fields}) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "application/vnd.amazon.eventstream"
        return list(events_of(await response.read()))


def events_of(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Type and payload of each message; asserts both checksums of each."""
    events = []
    while stream:
        total, headers_length, prelude_crc = struct.unpack("!III", stream[:12])
        frame, stream = stream[:total], stream[total:]
        assert zlib.crc32(frame[:8]) == prelude_crc
        assert zlib.crc32(frame[:-4]) == struct.unpack("!I", frame[-4:])[0]
        headers = headers_of(frame[12 : 12 + headers_length])
        kind = headers[":message-type"]
        events.append((headers[f":{kind}-type"], json.loads(frame[12 + headers_length : -4])))
    return events


def headers_of(encoded: bytes) -> dict[str, str]:
    headers = {}
    while encoded:
        name_end = 1 + encoded[0]
        assert encoded[name_end] == 7
        (length,) = struct.unpack("!H", encoded[name_end + 1 : name_end + 3])
        headers[encoded[1:name_end].decode()] = encoded[name_end + 3 : name_end + 3 + length].decode()
        encoded = encoded[name_end + 3 + length :]
    return headers


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def tool_use(call_id: str, arguments: Any = None) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id, "name": "get_weather", "input": {} if arguments is None else arguments}}


def tool_result(call_id: str, text: str = "sunny") -> dict[str, Any]:
    return {"toolResult": {"toolUseId": call_id, "content": [{"text": text}]}}


async def test_plain_answer_with_cache_and_its_ledger_entry(http: aiohttp.ClientSession) -> None:
    system = [{"text": "be very brief"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    messages = [user({"text": "one two three"}, {"cachePoint": {"type": "default"}}, {"text": "four"})]
    status, answer = await converse(http, "amazon.nova-lite-v1:0:cached_tokens=2", system=system, messages=messages)
    assert status == 200
    assert answer["output"] == {"message": {"role": "assistant", "content": [{"text": "one two three four"}]}}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {
        "inputTokens": 1,
        "outputTokens": 4,
        "totalTokens": 11,
        "cacheReadInputTokens": 2,
        "cacheWriteInputTokens": 4,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 3}, {"ttl": "1h", "inputTokens": 1}],
    }
    call = await last_call(http)
    assert (call["vendor"], call["model"], call["stream"]) == (
        "bedrock",
        "amazon.nova-lite-v1:0:cached_tokens=2",
        False,
    )
    assert (call["prompt_tokens"], call["cached_tokens"], call["completion_tokens"]) == (7, 2, 4)


async def test_stream_of_text(http: aiohttp.ClientSession) -> None:
    events = await converse_stream(http, inferenceConfig={"maxTokens": 2})
    assert [kind for kind, _ in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert [data["delta"]["text"] for kind, data in events if kind == "contentBlockDelta"] == ["one", " two"]
    assert events[-2][1] == {"stopReason": "max_tokens"}
    assert events[-1][1]["usage"]["totalTokens"] == 5
    assert (await last_call(http))["stream"] is True
    assert "usage" not in (await converse_stream(http, "echo:no_usage"))[-1][1]


async def test_tool_round_trip_with_parallel_calls(http: aiohttp.ClientSession) -> None:
    config = {**TOOLS, "toolChoice": {"any": {}}}
    status, answer = await converse(http, "tool:calls=2", toolConfig=config)
    assert (status, answer["stopReason"]) == (200, "tool_use")
    said = answer["output"]["message"]
    calls = [block["toolUse"] for block in said["content"]]
    assert [call["input"] for call in calls] == [{"city": "one two three"}] * 2
    results = [tool_result(call["toolUseId"], f"sunny {number}") for number, call in enumerate(calls)]
    history = [*HELLO["messages"], said, user(*results)]
    _, second = await converse(http, "tool", messages=history, toolConfig=TOOLS)
    assert second["output"]["message"]["content"] == [{"text": 'The tools answered: "sunny 0", "sunny 1"'}]

    events = await converse_stream(http, "tool:calls=2", toolConfig=config)
    starts = [data for kind, data in events if kind == "contentBlockStart"]
    assert [start["contentBlockIndex"] for start in starts] == [0, 1]
    assert {start["start"]["toolUse"]["name"] for start in starts} == {"get_weather"}
    for index in (0, 1):
        deltas = [data for kind, data in events if kind == "contentBlockDelta" and data["contentBlockIndex"] == index]
        assert json.loads("".join(delta["delta"]["toolUse"]["input"] for delta in deltas)) == calls[index]["input"]
    assert ("messageStop", {"stopReason": "tool_use"}) in events


async def test_thinking_is_signed_and_must_come_back_unchanged(http: aiohttp.ClientSession) -> None:
    fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    model = "anthropic.claude-opus-4-6-v1"
    _, answer = await converse(http, model, additionalModelRequestFields=fields)
    thought, text = answer["output"]["message"]["content"]
    assert text == {"text": "one two three"}
    events = await converse_stream(http, model, additionalModelRequestFields=fields)
    deltas = [data["delta"]["reasoningContent"] for kind, data in events if "reasoningContent" in data.get("delta", {})]
    assert "".join(delta.get("text", "") for delta in deltas) == thought["reasoningContent"]["reasoningText"]["text"]
    assert deltas[-1] == {"signature": thought["reasoningContent"]["reasoningText"]["signature"]}

    history = [*HELLO["messages"], assistant(thought, text), user({"text": "go on"})]
    assert (await converse(http, messages=history))[0] == 200
    thought["reasoningContent"]["reasoningText"]["text"] += "!"
    status, refused = await converse(http, messages=history)
    assert status == 400
    assert "messages.1.content.0.reasoningContent.reasoningText.signature" in refused["message"]


async def test_images_documents_and_structured_output(http: aiohttp.ClientSession) -> None:
    image = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
    document = {"document": {"format": "pdf", "name": "A report (2)", "source": {"bytes": PIXEL}}}
    _, answer = await converse(http, messages=[user({"text": "look"}, image, image, document)])
    assert answer["output"]["message"]["content"] == [{"text": "saw 2 images and 1 document: look"}]
    structure = {"jsonSchema": {"name": "place", "schema": json.dumps(SCHEMA)}}
    _, answer = await converse(http, outputConfig={"textFormat": {"type": "json_schema", "structure": structure}})
    assert json.loads(answer["output"]["message"]["content"][0]["text"]) == {"city": "one two three"}


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("max_tokens", {"max_tokens": 5}),
    ("inferenceConfig.max_tokens", {"inferenceConfig": {"max_tokens": 5}}),
    ("inferenceConfig.temperature", {"inferenceConfig": {"temperature": 1.5}}),
    ("inferenceConfig.topP", {"inferenceConfig": {"topP": None}}),
    ("messages.0.role", {"messages": [assistant({"text": "x"})]}),
    ("messages.1.role", {"messages": [user({"text": "x"}), user({"text": "y"})]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": "x"}]}),
    ("messages.0.content", {"messages": [user()]}),
    ("messages.0.content.1", {"messages": [user({"text": "x"}, {"text": "y", "cachePoint": {"type": "default"}})]}),
    ("messages.0.content.1", {"messages": [user({"text": "x"}, {})]}),
    ("messages.0.content.0.text", {"messages": [user({"text": " "})]}),
    ("messages.0.content.0.type", {"messages": [user({"type": "text", "text": "x"})]}),
    ("messages.0.content.0.cachePoint", {"messages": [user({"cachePoint": {"type": "default"}}, {"text": "x"})]}),
    ("messages.0.content.0.toolUse", {"messages": [user(tool_use("a"))], "toolConfig": TOOLS}),
    ("image.format", {"messages": [user({"image": {"format": "jpg", "source": {"bytes": PIXEL}}})]}),
    ("source.bytes", {"messages": [user({"image": {"format": "png", "source": {"bytes": "no base64!"}}})]}),
    ("source.data", {"messages": [user({"image": {"format": "png", "source": {"data": PIXEL}}})]}),
    ("document.name", {"messages": [user({"text": "x"}, {"document": {"name": "a.b", "source": {"bytes": PIXEL}}})]}),
    ("messages.0.content", {"messages": [user({"document": {"name": "a", "source": {"bytes": PIXEL}}})]}),
    ("system", {"system": "be brief"}),
    ("toolConfig", {"messages": [user({"text": "x"}), assistant(tool_use("a")), user(tool_result("a"))]}),
    ("toolConfig.tools", {"toolConfig": {"tools": []}}),
    ("toolSpec.inputSchema", {"toolConfig": {"tools": [{"toolSpec": {"name": "w", "inputSchema": SCHEMA}}]}}),
    ("toolConfig.toolChoice", {"toolConfig": {**TOOLS, "toolChoice": "any"}}),
    ("toolConfig.toolChoice", {"toolConfig": {**TOOLS, "toolChoice": {"any": {}, "auto": {}}}}),
    ("toolConfig.toolChoice.tool.name", {"toolConfig": {**TOOLS, "toolChoice": {"tool": {"name": "other"}}}}),
    ("outputConfig", {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": SCHEMA}}}}),
    ("budget_tokens", {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9}}}),
]


@pytest.mark.parametrize(("place", "fields"), REFUSED)
async def test_wrong_requests_are_refused_by_name(
    http: aiohttp.ClientSession, place: str, fields: dict[str, Any]
) -> None:
    for operation in ("converse", "converse-stream"):
        async with http.post(f"/bedrock/model/echo/{operation}", json={**HELLO, **fields}) as response:
            assert response.status == 400
            assert response.headers["x-amzn-ErrorType"] == "ValidationException"
            assert place in (await response.json())["message"]
    call = await last_call(http)
    assert (call["outcome"], call["model"], call["cost_usd"]) == ("error", "echo", "0")


@pytest.mark.parametrize(
    ("calls", "results"),
    [(["a", "b"], ["a"]), (["a"], ["b"]), (["a"], ["a", "b"]), (["a", "a"], ["a"]), ([], ["a"]), (["a"], [])],
)
async def test_tool_results_must_pair_with_calls(
    http: aiohttp.ClientSession, calls: list[str], results: list[str]
) -> None:
    said = assistant(*(tool_use(call) for call in calls)) if calls else assistant({"text": "x"})
    history = [*HELLO["messages"], said]
    if results:
        history.append(user(*(tool_result(call) for call in results)))
    status, refused = await converse(http, messages=history, toolConfig=TOOLS)
    assert (status, "messages." in refused["message"]) == (400, True)


@pytest.mark.parametrize("arguments", ['{"city":"x"}', ["x"], 1])
async def test_tool_input_is_an_object(http: aiohttp.ClientSession, arguments: Any) -> None:
    history = [*HELLO["messages"], assistant(tool_use("a", arguments)), user(tool_result("a"))]
    status, refused = await converse(http, messages=history, toolConfig=TOOLS)
    assert (status, "messages.1.content.0.toolUse.input" in refused["message"]) == (400, True)


@pytest.mark.parametrize(
    ("model", "fields", "place"),
    [
        ("anthropic.claude-x", {"reasoningConfig": {"type": "enabled"}}, "reasoningConfig"),
        ("anthropic.claude-x", {"thinking": {"type": "adaptive"}, "top_k": 5}, "thinking"),
        ("amazon.nova-2-lite-v1:0", {"thinking": {"type": "adaptive"}}, "thinking"),
        ("amazon.nova-2-lite-v1:0", {"reasoningConfig": {"type": "enabled"}}, "maxReasoningEffort"),
        ("cohere.command-r-v1:0", {"safety_mode": "OFF"}, "safety_mode"),
    ],
)
async def test_fields_of_another_model_family_are_refused(
    http: aiohttp.ClientSession, model: str, fields: dict[str, Any], place: str
) -> None:
    status, refused = await converse(http, model, additionalModelRequestFields=fields)
    assert (status, place in refused["message"]) == (400, True)


@pytest.mark.parametrize(
    ("choice", "calls"),
    [
        ({"type": "any"}, 2),
        ({"type": "any", "disable_parallel_tool_use": True}, 1),
        ({"type": "tool", "name": "get_weather"}, 2),
        ({"type": "none"}, 0),
    ],
)
async def test_tool_choice_of_claudes_own(http: aiohttp.ClientSession, choice: dict[str, Any], calls: int) -> None:
    model = "tool:calls=2"
    fields = {"additionalModelRequestFields": {"tool_choice": choice}}
    _, answer = await converse(http, model, toolConfig=TOOLS, **fields)
    made = [block for block in answer["output"]["message"]["content"] if "toolUse" in block]
    assert len(made) == calls
    assert (await converse(http, model, toolConfig={**TOOLS, "toolChoice": {"auto": {}}}, **fields))[0] == 400
    assert (await converse(http, model, **fields))[0] == 400


async def test_stop_sequence_is_named_when_asked_for(http: aiohttp.ClientSession) -> None:
    fields: dict[str, Any] = {"inferenceConfig": {"stopSequences": ["three"]}}
    _, answer = await converse(http, **fields)
    assert (answer["stopReason"], "additionalModelResponseFields" in answer) == ("stop_sequence", False)
    fields["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    _, answer = await converse(http, **fields)
    assert answer["additionalModelResponseFields"] == {"stop_sequence": "three"}
    events = dict(await converse_stream(http, **fields))
    assert events["messageStop"]["additionalModelResponseFields"] == {"stop_sequence": "three"}


async def test_nova_reasons_when_asked(http: aiohttp.ClientSession) -> None:
    fields = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
    _, answer = await converse(http, "us.amazon.nova-2-lite-v1:0", additionalModelRequestFields=fields)
    thought, text = answer["output"]["message"]["content"]
    # Not signed, and taken back so.
    assert set(thought["reasoningContent"]["reasoningText"]) == {"text"}
    history = [*HELLO["messages"], assistant(thought, text), user({"text": "go on"})]
    assert (await converse(http, "us.amazon.nova-2-lite-v1:0", messages=history))[0] == 200


@pytest.mark.parametrize(
    ("model", "thinking", "status"),
    [
        ("us.anthropic.claude-opus-4-7", {"type": "adaptive"}, 400),
        ("us.anthropic.claude-opus-4-8", {"type": "adaptive"}, 200),
        ("us.anthropic.claude-opus-4-8", {"type": "enabled", "budget_tokens": 1024}, 400),
        ("us.anthropic.claude-sonnet-5", {"type": "adaptive"}, 200),
    ],
)
async def test_thinking_beside_a_forced_tool(
    http: aiohttp.ClientSession, model: str, thinking: dict[str, Any], status: int
) -> None:
    fields = {
        "additionalModelRequestFields": {"thinking": thinking},
        "toolConfig": {**TOOLS, "toolChoice": {"any": {}}},
    }
    assert (await converse(http, model, **fields))[0] == status


@pytest.mark.parametrize(
    ("model", "status", "error_type"),
    [
        ("status:code=429", 429, "ThrottlingException"),
        ("status:code=503", 503, "ServiceUnavailableException"),
        ("status:code=404", 404, "ResourceNotFoundException"),
        ("status:code=424", 424, "ModelErrorException"),
        ("context-length", 400, "ValidationException"),
        ("error-in-stream", 500, "InternalServerException"),
    ],
)
async def test_errors(http: aiohttp.ClientSession, model: str, status: int, error_type: str) -> None:
    async with http.post(f"/bedrock/model/{model}/converse", json=HELLO) as response:
        assert (response.status, response.headers["x-amzn-ErrorType"]) == (status, error_type)
        assert set(await response.json()) == {"message"}


async def test_error_in_the_stream_is_an_exception_message(http: aiohttp.ClientSession) -> None:
    *before, (kind, data) = await converse_stream(http, "error-in-stream")
    assert before[0][0] == "messageStart"
    assert (kind, data["originalStatusCode"]) == ("modelStreamErrorException", 500)
    assert (await last_call(http))["outcome"] == "error"


async def test_garbage_fails_its_checksum(http: aiohttp.ClientSession) -> None:
    async with http.post("/bedrock/model/garbage/converse-stream", json=HELLO) as response:
        stream = await response.read()
    with pytest.raises(AssertionError):
        events_of(stream)


async def test_truncated_stream(http: aiohttp.ClientSession) -> None:
    async with http.post("/bedrock/model/break-after:chunks=1/converse-stream", json=HELLO) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert (await last_call(http))["outcome"] == "broken"
