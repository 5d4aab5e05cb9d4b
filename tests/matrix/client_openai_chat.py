"""A client of OpenAI's chat completions: asks, and reads what comes with the SDK's own types.

Source: OpenAI API reference, "Create chat completion" and "Streaming"; for the extras (`reasoning_content`,
`reasoning_details`, `extra_content`) what OpenRouter and Google document for this API.
"""

import json
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

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

_FINISH: dict[str, Finish] = {"stop": "stop", "tool_calls": "tool_calls", "length": "length"}


class OpenAiChatClient:
    name: Surface = "openai.chat"
    path_model: str | None = None

    def request(self, scenario: Scenario, *, streaming: bool, before: Heard | None = None) -> Json:
        content: Any = QUESTION
        if scenario == "image":
            image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
            content = [{"type": "text", "text": QUESTION}, image]
        messages: list[Json] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]
        body: Json = {"model": MODEL, "messages": messages, "max_completion_tokens": MAX_TOKENS}
        if scenario in ASKS_TO_THINK:
            body["reasoning_effort"] = "medium"
        if scenario in ("tool_calls", "tool_results"):
            function = {"name": TOOL, "description": TOOL_DESCRIPTION, "parameters": TOOL_PARAMETERS}
            body["tools"] = [{"type": "function", "function": function}]
        if scenario == "tool_results":
            assert before is not None
            messages.append(before.replay)
            messages += [
                {"role": "tool", "tool_call_id": call.call_id, "content": result}
                for call, result in zip(before.said.calls, RESULTS, strict=True)
            ]
        if scenario == "structured_output":
            shape = {"name": "sum", "schema": SCHEMA, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        if streaming:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body | gateway_fields(streaming=streaming)

    def read_plain(self, body: bytes) -> Heard:
        completion = json.loads(body)
        (choice,) = completion["choices"]
        assert choice["index"] == 0
        message = choice["message"]
        assert message["role"] == "assistant"
        if not isinstance(message.get("content"), list):
            ChatCompletion.model_validate(completion)
        return _heard(message, choice["finish_reason"], completion.get("usage"), completion["model"])

    def read_stream(self, data: bytes) -> Heard:
        blocks = data.decode().split("\n\n")
        assert blocks[-2:] == ["data: [DONE]", ""], blocks[-2:]
        message: Json = {"role": "assistant", "content": None}
        finish: str | None = None
        usage: Json | None = None
        models: set[str] = set()
        for block in blocks[:-2]:
            assert block.startswith("data: "), block
            assert "\n" not in block, block
            chunk = json.loads(block[6:])
            models.add(chunk["model"])
            assert usage is None, "nothing comes after the usage"
            usage = chunk.get("usage")
            for choice in chunk["choices"]:
                assert choice["index"] == 0
                assert finish is None or choice["delta"] == {}, "nothing comes after the reason"
                if not isinstance(choice["delta"].get("content"), list):
                    ChatCompletionChunk.model_validate(chunk)
                _add(message, choice["delta"])
                finish = choice["finish_reason"] or finish
        assert len(models) == 1
        return _heard(message, finish, usage, models.pop())

    def is_ended(self, data: bytes) -> bool:
        return b"[DONE]" in data or any(
            block.startswith(b"data: ") and json.loads(block[6:])["choices"][:1] and b'"finish_reason":"' in block
            for block in data.split(b"\n\n")
        )

    def read_error(self, body: bytes) -> str:
        error = json.loads(body)["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        message: str = error["message"]
        return message

    def read_error_event(self, event: bytes) -> str:
        assert event.startswith(b"data: ")
        assert event.endswith(b"\n\n")
        return self.read_error(event[6:])


def _add(message: Json, delta: Json) -> None:
    for name, piece in delta.items():
        if name == "tool_calls":
            calls = message.setdefault("tool_calls", [])
            for each in piece:
                if each["index"] == len(calls):
                    calls.append({"function": {"name": "", "arguments": ""}})
                call = calls[each["index"]]
                call |= {key: value for key, value in each.items() if key not in ("function", "index")}
                function = each.get("function", {})
                call["function"]["name"] += function.get("name") or ""
                call["function"]["arguments"] += function.get("arguments") or ""
        elif name == "role":
            assert piece == "assistant"
        elif isinstance(piece, str | list) and message.get(name) not in (None, "", []) and piece:
            message[name] = (
                _parts(message[name]) + _parts(piece) if _mixed(message[name], piece) else message[name] + piece
            )
        elif piece:
            message[name] = piece


def _mixed(one: Any, other: Any) -> bool:
    return isinstance(one, list) != isinstance(other, list)


def _parts(content: Any) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _heard(message: Json, finish: str | None, usage: Json | None, model: str) -> Heard:
    text, thoughts = message.get("content") or "", message.get("reasoning_content") or ""
    if isinstance(text, list):
        # Mistral's thoughts, of which OpenAI's API knows nothing: they pass untouched where the format is the same.
        thoughts = "".join(inner["text"] for part in text if part["type"] == "thinking" for inner in part["thinking"])
        text = "".join(part["text"] for part in text if part["type"] == "text")
    calls = [
        Call(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
    assert finish is not None
    said = Said(text=text, thoughts=thoughts, calls=tuple(calls), finish=_FINISH[finish])
    replay = {name: value for name, value in message.items() if value not in (None, [])}
    return Heard(said=said, figures=_figures(usage), model=model, replay=replay)


def _figures(usage: Json | None) -> Figures | None:
    if usage is None:
        return None
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    read = usage.get("prompt_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    return Figures(
        input=usage["prompt_tokens"],
        output=usage["completion_tokens"],
        cached=read.get("cached_tokens", 0),
        written=read.get("cache_write_tokens", 0),
        written_1h=None,
        reasoning=made.get("reasoning_tokens", 0),
    )
