"""A client of Anthropic's messages: asks, and reads what comes by the rules of the API's documentation.

Source: Claude API reference, "Create a message", "Streaming messages" (the order of events, one block at a time).
"""

import json
from typing import Any

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

_FINISH: dict[str, Finish] = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}
_GROWS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class AnthropicClient:
    name: Surface = "anthropic.messages"
    path_model: str | None = None

    def request(self, scenario: Scenario, *, streaming: bool, before: Heard | None = None) -> Json:
        content: Any = QUESTION
        if scenario == "image":
            source = {"type": "base64", "media_type": "image/png", "data": PNG}
            content = [{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]
        messages: list[Json] = [{"role": "user", "content": content}]
        body: Json = {"model": MODEL, "max_tokens": MAX_TOKENS, "messages": messages}
        body["system"] = [{"type": "text", "text": SYSTEM}]
        if scenario in ASKS_TO_THINK:
            body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if scenario in ("tool_calls", "tool_results"):
            body["tools"] = [{"name": TOOL, "description": TOOL_DESCRIPTION, "input_schema": TOOL_PARAMETERS}]
        if scenario == "tool_results":
            assert before is not None
            messages.append({"role": "assistant", "content": before.replay})
            results = [
                {"type": "tool_result", "tool_use_id": call.call_id, "content": result}
                for call, result in zip(before.said.calls, RESULTS, strict=True)
            ]
            messages.append({"role": "user", "content": results})
        if scenario == "structured_output":
            body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if streaming:
            body["stream"] = True
        return body | gateway_fields(streaming=streaming)

    def read_plain(self, body: bytes) -> Heard:
        return _heard(json.loads(body))

    def read_stream(self, data: bytes) -> Heard:
        message: Json = {}
        pieces = ""
        open_index: int | None = None
        reason_given = False
        events = _events(data)
        assert events[-1]["type"] == "message_stop"
        for event in events[:-1]:
            match event["type"]:
                case "message_start":
                    assert not message
                    message = event["message"]
                    assert (message["content"], message["stop_reason"]) == ([], None)
                case "ping":
                    pass
                case "content_block_start":
                    assert open_index is None
                    open_index, pieces = event["index"], ""
                    assert open_index == len(message["content"])
                    message["content"].append(event["content_block"])
                case "content_block_delta":
                    assert event["index"] == open_index
                    block, delta = message["content"][-1], event["delta"]
                    if delta["type"] == "input_json_delta":
                        assert block["type"] == "tool_use"
                        pieces += delta["partial_json"]
                    else:
                        block[_GROWS[delta["type"]]] += delta[_GROWS[delta["type"]]]
                case "content_block_stop":
                    assert event["index"] == open_index
                    if message["content"][-1]["type"] == "tool_use":
                        message["content"][-1]["input"] = json.loads(pieces or "{}")
                    open_index = None
                case "message_delta":
                    assert open_index is None
                    assert not reason_given
                    reason_given = True
                    message |= event["delta"]
                    message["usage"] |= {name: value for name, value in event["usage"].items() if value is not None}
                case other:
                    raise AssertionError(other)
        assert reason_given
        return _heard(message)

    def is_ended(self, data: bytes) -> bool:
        return any(event["type"] in ("message_delta", "message_stop") for event in _events(data))

    def read_error(self, body: bytes) -> str:
        found = json.loads(body)
        assert found["type"] == "error"
        assert found["request_id"]
        assert found["error"]["type"].endswith("_error")
        message: str = found["error"]["message"]
        return message

    def read_error_event(self, event: bytes) -> str:
        assert event.startswith(b"event: error\ndata: ")
        assert event.endswith(b"\n\n")
        return self.read_error(event.removeprefix(b"event: error\ndata: "))


def _events(data: bytes) -> list[Json]:
    blocks = data.decode().split("\n\n")
    assert blocks.pop() == ""
    events = []
    for block in blocks:
        name, payload = block.split("\n")
        event = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def _heard(message: Json) -> Heard:
    assert (message["type"], message["role"]) == ("message", "assistant")
    content = message["content"]
    calls = [Call(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"]
    said = Said(
        text="".join(block["text"] for block in content if block["type"] == "text"),
        thoughts="".join(block["thinking"] for block in content if block["type"] == "thinking"),
        calls=tuple(calls),
        finish=_FINISH[message["stop_reason"]],
    )
    return Heard(said=said, figures=_figures(message["usage"]), model=message["model"], replay=content)


def _figures(usage: Json) -> Figures:
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    # Said at the start of a stream or not at all.
    creation = usage["cache_creation"]
    if creation is not None:
        assert creation["ephemeral_5m_input_tokens"] + creation["ephemeral_1h_input_tokens"] == written
    return Figures(
        input=usage["input_tokens"] + read + written,
        output=usage["output_tokens"],
        cached=read,
        written=written,
        written_1h=None if creation is None else creation["ephemeral_1h_input_tokens"],
        reasoning=usage.get("output_tokens_details", {}).get("thinking_tokens", 0),
    )
