"""The simulated Responses API: read by OpenAI's own client, its events by hand, and what it refuses."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseInputParam,
    ResponseReasoningItem,
    ToolParam,
)

from tests.local.simulated_vendors import last_call, origin_of, post, post_stream, simulated_vendors

PATH = "/openai/v1/responses"
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: ToolParam = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": True}
TOOLS: list[ToolParam] = [TOOL]
CALL = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
ASKED = {"role": "user", "content": "one two"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with simulated_vendors() as session:
        yield session


@pytest.fixture
async def client(http: aiohttp.ClientSession) -> AsyncIterator[openai.AsyncOpenAI]:
    base_url = await origin_of(http) + "/openai/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0, timeout=5) as made:
        yield made


async def events_of(http: aiohttp.ClientSession, model: str = "echo", **fields: Any) -> list[dict[str, Any]]:
    events = await post_stream(http, PATH, {"model": model, "input": "one two", "stream": True, **fields})
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


async def test_plain_answer_and_its_ledger_entry(client: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    response = await client.responses.create(
        model="gpt-5:cached_tokens=2", input="one two three", instructions="be brief", store=False
    )
    assert (response.output_text, response.status, response.object) == ("one two three", "completed", "response")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.input_tokens_details.cached_tokens) == (5, 2)
    assert (response.usage.output_tokens, response.usage.total_tokens) == (3, 8)
    assert response.store is False  # type: ignore[attr-defined]
    call = await last_call(http)
    assert (call["model"], call["prompt_tokens"], call["completion_tokens"]) == ("gpt-5:cached_tokens=2", 5, 3)
    assert (await client.responses.create(model="echo:no_usage", input="x")).usage is None


async def test_events_of_text_in_their_order(http: aiohttp.ClientSession) -> None:
    events = await events_of(http)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[0]["response"]["status"] == "in_progress"
    assert [event["delta"] for event in events[4:6]] == ["one", " two"]
    assert events[6]["text"] == events[7]["part"]["text"] == "one two"
    assert events[-1]["response"]["output"] == [events[-2]["item"]]
    assert events[-1]["response"]["usage"]["total_tokens"] == 4
    assert len({event["item_id"] for event in events if "item_id" in event}) == 1


@pytest.mark.parametrize("shown", [True, False])
async def test_tool_round_trip_with_parallel_calls_and_reasoning(client: openai.AsyncOpenAI, shown: bool) -> None:
    response = await client.responses.create(
        model="tool:calls=2",
        input="one two",
        tools=TOOLS,
        tool_choice="required",
        reasoning={"effort": "low", "summary": "auto"} if shown else {"effort": "low"},
        include=["reasoning.encrypted_content"],
        store=False,
    )
    thought, *calls = response.output
    assert isinstance(thought, ResponseReasoningItem)
    assert [part.text for part in thought.summary] == (["Thinking about: one two"] if shown else [])
    assert thought.encrypted_content
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens == 4
    made = [call for call in calls if isinstance(call, ResponseFunctionToolCall)]
    assert [json.loads(call.arguments) for call in made] == [{"city": "one two"}] * 2
    history: Any = [ASKED, *(item.model_dump(exclude_none=True) for item in response.output)]
    history += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in made]
    second = await client.responses.create(model="tool", input=history, tools=TOOLS, store=False)
    assert second.output_text == 'The tools answered: "sunny", "sunny"'

    history[1]["encrypted_content"] = "gAAAAother"
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="tool", input=history, tools=TOOLS, store=False)
    assert refused.value.param == "input[1].encrypted_content"
    del history[1]["encrypted_content"]
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="tool", input=history, tools=TOOLS, store=False)


@pytest.mark.parametrize("effort", [None, {"effort": "low"}, {"effort": "low", "summary": "auto"}])
async def test_streamed_items_are_those_of_the_response(http: aiohttp.ClientSession, effort: Any) -> None:
    events = await events_of(http, "tool:calls=2", tools=TOOLS, reasoning=effort)
    response = events[-1]["response"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["item"] for event in done] == response["output"]
    assert [event["output_index"] for event in added] == list(range(len(response["output"])))
    assert [event["item"]["id"] for event in added] == [item["id"] for item in response["output"]]
    for index, item in enumerate(response["output"]):
        deltas = [event["delta"] for event in events if "delta" in event and event["output_index"] == index]
        if item["type"] == "function_call":
            assert "".join(deltas) == item["arguments"]
        else:
            assert "".join(deltas) == "".join(part["text"] for part in item["summary"])
    assert [item["type"] for item in response["output"]] == ["reasoning"] * bool(effort) + ["function_call"] * 2


async def test_client_reads_the_stream(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model="echo:chunks=40", input="a b", reasoning={"summary": "auto"}) as stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        assert (await stream.get_final_response()).output_text == text


async def test_incomplete_when_the_cap_cuts(client: openai.AsyncOpenAI, http: aiohttp.ClientSession) -> None:
    response = await client.responses.create(model="echo:chunks=30", input="x", max_output_tokens=16)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert (await events_of(http, "echo:chunks=30", max_output_tokens=16))[-1]["type"] == "response.incomplete"


async def test_image_file_and_structured_output(client: openai.AsyncOpenAI) -> None:
    content: ResponseInputParam = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
            ],
        }
    ]
    response = await client.responses.create(model="echo", input=content)
    assert response.output_text == "saw 1 image and 1 document: look"
    response = await client.responses.create(
        model="echo",
        input="one two",
        text={"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}},
    )
    assert json.loads(response.output_text) == {"city": "one two"}


OPEN = {"type": "object", "properties": {"city": {"type": "string"}}}
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"messages": [ASKED]}),
    ("max_tokens", {"max_tokens": 5}),
    ("max_output_tokens", {"max_output_tokens": 15}),
    ("response_format", {"response_format": {"type": "json_object"}}),
    ("reasoning_effort", {"reasoning_effort": "low"}),
    ("reasoning.effort", {"reasoning": {"effort": "some"}}),
    ("stop", {"stop": ["x"]}),
    ("previous_response_id", {"previous_response_id": "resp_1"}),
    ("background", {"background": True}),
    ("stream_options", {"stream_options": {"include_obfuscation": False}}),
    ("include[0]", {"include": ["everything"]}),
    ("tools[0].function", {"tools": [{"type": "function", "function": {"name": "w", "parameters": OPEN}}]}),
    ("tools[0].parameters", {"tools": [{"type": "function", "name": "w", "parameters": OPEN, "strict": True}]}),
    ("tool_choice", {"tools": TOOLS, "tool_choice": {"type": "function", "name": "other"}}),
    ("tool_choice.function", {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "w"}}}),
    ("text.format.json_schema", {"text": {"format": {"type": "json_schema", "json_schema": {"name": "x"}}}}),
    ("text.format.schema", {"text": {"format": {"type": "json_schema", "name": "x", "schema": OPEN, "strict": True}}}),
    ("input[0].name", {"input": [{**ASKED, "name": "x"}]}),
    ("input[0].role", {"input": [{"role": "tool", "content": "x"}]}),
    ("input[0].content[0].type", {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
    ("input[0].content[0]", {"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]}),
    ("input[0].content[0]", {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}),
    (
        "input[0].content[0].image_url",
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": {}}]}]},
    ),
    ("input[1].id", {"input": [ASKED, {**CALL, "id": "call_1"}, OUTPUT]}),
    ("input", {"input": [ASKED, CALL]}),
    ("input", {"input": [ASKED, OUTPUT]}),
    ("input", {"input": [ASKED, CALL, OUTPUT, OUTPUT]}),
    ("input", {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}, ASKED]}),
    ("input", {"input": []}),
]


@pytest.mark.parametrize(("param", "fields"), REFUSED)
async def test_wrong_requests_are_refused_by_name(
    http: aiohttp.ClientSession, param: str, fields: dict[str, Any]
) -> None:
    status, refused = await post(http, PATH, {"model": "echo", "input": "x", **fields})
    assert (status, refused["error"]["param"]) == (400, param)
    assert refused["error"]["type"] == "invalid_request_error"
    assert (await last_call(http))["outcome"] == "error"


async def test_what_is_stored_is_not_found(http: aiohttp.ClientSession) -> None:
    for fields in ({"input": [{"type": "item_reference", "id": "msg_1"}]}, {"conversation": "conv_1"}):
        status, _ = await post(http, PATH, {"model": "echo", "input": "x", **fields})
        assert status == 404


@pytest.mark.parametrize("store", [True, False, None])
async def test_store_is_taken(http: aiohttp.ClientSession, store: bool | None) -> None:
    status, answer = await post(http, PATH, {"model": "echo", "input": "x", "store": store})
    assert (status, answer["store"]) == (200, store is not False)


async def test_failure_in_the_stream(http: aiohttp.ClientSession) -> None:
    events = await events_of(http, "error-in-stream")
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"
    assert "response.completed" not in {event["type"] for event in events}
    assert (await last_call(http))["outcome"] == "error"


async def test_without_a_good_key_there_is_401(http: aiohttp.ClientSession) -> None:
    async with http.post(PATH, json={}, headers={"Authorization": "Bearer bad"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (401, "invalid_api_key")
