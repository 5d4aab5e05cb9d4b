"""A client of OpenAI's Responses: asks, and reads what comes with the SDK's own types.

Source: OpenAI API reference, "Create a model response" and "Streaming events".
"""

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from schemas.envelope import Surface
from tests.matrix.meaning import (
    ASKS_TO_THINK,
    MAX_TOKENS,
    MODEL,
    PNG,
    QUESTION,
    RESULTS,
    SCHEMA,
    SYSTEM,
    TOOL,
    TOOL_DESCRIPTION,
    TOOL_PARAMETERS,
    Call,
    Figures,
    Finish,
    Heard,
    Json,
    Said,
    Scenario,
    gateway_fields,
)

_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
_LAST = ("response.completed", "response.incomplete", "response.failed")


class OpenAiResponsesClient:
    name: Surface = "openai.responses"
    path_model: str | None = None

    def request(self, scenario: Scenario, *, streaming: bool, before: Heard | None = None) -> Json:
        content: list[Json] = [{"type": "input_text", "text": QUESTION}]
        if scenario == "image":
            content.append({"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"})
        items: list[Json] = [{"role": "user", "content": content}]
        body: Json = {"model": MODEL, "instructions": SYSTEM, "input": items, "max_output_tokens": MAX_TOKENS}
        body["store"] = False
        if scenario in ASKS_TO_THINK:
            body["reasoning"] = {"effort": "medium", "summary": "auto"}
            body["include"] = ["reasoning.encrypted_content"]
        if scenario in ("tool_calls", "tool_results"):
            tool = {"type": "function", "name": TOOL, "description": TOOL_DESCRIPTION, "parameters": TOOL_PARAMETERS}
            body["tools"] = [tool | {"strict": False}]
        if scenario == "tool_results":
            assert before is not None
            items += before.replay
            items += [
                {"type": "function_call_output", "call_id": call.call_id, "output": result}
                for call, result in zip(before.said.calls, RESULTS, strict=True)
            ]
        if scenario == "structured_output":
            shape = {"type": "json_schema", "name": "sum", "schema": SCHEMA, "strict": True}
            body["text"] = {"format": shape}
        if streaming:
            body["stream"] = True
        return body | gateway_fields(streaming=streaming)

    def read_plain(self, body: bytes) -> Heard:
        return _heard(json.loads(body))

    def read_stream(self, data: bytes) -> Heard:
        events = _events(data)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
        assert events[-1]["type"] in _LAST
        assert not any(event["type"] in _LAST for event in events[:-1])
        response = events[-1]["response"]
        _check_pieces(events, response["output"])
        assert response["id"] == events[0]["response"]["id"]
        return _heard(response)

    def is_ended(self, data: bytes) -> bool:
        return any(event["type"] in _LAST for event in _events(data))

    def read_error(self, body: bytes) -> str:
        error = json.loads(body)["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        message: str = error["message"]
        return message

    def read_error_event(self, event: bytes) -> str:
        (error,) = _events(event)
        assert error["type"] == "error"
        message: str = error["message"]
        return message


def _events(data: bytes) -> list[Json]:
    blocks = data.decode().split("\n\n")
    assert blocks.pop() == ""
    events = []
    for block in blocks:
        name, payload = block.split("\n")
        event = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        _EVENT.validate_python(event)
        events.append(event)
    return events


def _check_pieces(events: list[Json], output: list[Json]) -> None:
    """Each item is announced, its pieces make up what it is in the end, and both ends agree."""
    texts: dict[tuple[int, str], str] = {}
    added: dict[int, Json] = {}
    done: dict[int, Json] = {}
    for event in events:
        match event["type"]:
            case "response.output_item.added":
                added[event["output_index"]] = event["item"]
            case "response.output_item.done":
                assert event["output_index"] in added
                done[event["output_index"]] = event["item"]
            case str(kind) if kind.endswith(".delta"):
                assert event["output_index"] in added.keys() - done.keys()
                assert event["item_id"] == added[event["output_index"]]["id"]
                key = event["output_index"], kind.removesuffix(".delta")
                texts[key] = texts.get(key, "") + event["delta"]
            case "response.output_text.done" | "response.reasoning_summary_text.done":
                assert texts[event["output_index"], event["type"].removesuffix(".done")] == event["text"]
            case "response.function_call_arguments.done":
                assert texts[event["output_index"], event["type"].removesuffix(".done")] == event["arguments"]
    assert [done[index] for index in sorted(done)] == output
    for index, item in enumerate(output):
        match item["type"]:
            case "message":
                whole = "".join(part["text"] for part in item["content"])
                assert texts.get((index, "response.output_text"), "") == whole
            case "function_call":
                assert texts[index, "response.function_call_arguments"] == item["arguments"]
            case "reasoning":
                whole = "".join(part["text"] for part in item["summary"])
                assert texts.get((index, "response.reasoning_summary_text"), "") == whole


def _heard(response: Json) -> Heard:
    Response.model_validate(response)
    text, thoughts = "", ""
    calls: list[Call] = []
    for item in response["output"]:
        match item["type"]:
            case "message":
                text += "".join(part["text"] for part in item["content"])
            case "reasoning":
                thoughts += "".join(part["text"] for part in item["summary"])
            case "function_call":
                calls.append(Call(item["call_id"], item["name"], json.loads(item["arguments"])))
    finish: Finish = "tool_calls" if calls else "stop"
    if response["status"] == "incomplete":
        assert response["incomplete_details"]["reason"] == "max_output_tokens"
        finish = "length"
    else:
        assert response["status"] == "completed"
    said = Said(text=text, thoughts=thoughts, calls=tuple(calls), finish=finish)
    return Heard(said=said, figures=_figures(response["usage"]), model=response["model"], replay=response["output"])


def _figures(usage: Any) -> Figures:
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    return Figures(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cached=usage["input_tokens_details"]["cached_tokens"],
        written=usage["input_tokens_details"].get("cache_write_tokens", 0),
        written_1h=None,
        reasoning=usage["output_tokens_details"]["reasoning_tokens"],
    )
