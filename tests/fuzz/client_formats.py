"""Whether bytes for a client are what its API promises: error bodies, plain answers, streams. Stricter than clients.

Shapes: each API's own reference. Only what every client relies on is checked.
"""

import json
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from schemas.envelope import Surface

Json = dict[str, Any]


def strict_json(text: bytes, *, readable: bool = False) -> Any:
    """RFC 8259 in UTF-8. `readable`: by every parser, so without half surrogate pairs and numbers beyond measure. What
    a model wrote, and what is passed through, may hold such things; what the gateway makes of a request may not."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    value = json.loads(text.decode("utf-8"), parse_constant=refuse, parse_int=_readable, parse_float=_readable)
    if readable:
        msgspec.json.decode(text)
    return value


def _readable(digits: str) -> int | float:
    return float(digits) if len(digits) > 20 or not digits.lstrip("-").isdigit() else int(digits)


def check_error_body(surface: Surface, body: bytes, status: int, param: str | None) -> None:
    """`param`: the field at fault, which the body must name."""
    found = strict_json(body, readable=True)
    assert len(body) < 16_384, "an error that is as long as what it complains of"
    if surface.startswith("openai."):
        error = found["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["param"] == param
    elif surface.startswith("anthropic."):
        error = found["error"]
        assert (found["type"], error["type"]) == ("error", _ANTHROPIC_TYPES.get(status, "invalid_request_error"))
        assert found["request_id"]
    else:
        error = found["error"]
        assert error["code"] == status
        assert isinstance(error["status"], str)
        fields = [v["field"] for d in error["details"] for v in d.get("fieldViolations", ())]
        assert fields == ([] if param is None else [param])
    assert isinstance(error["message"], str)
    assert error["message"]
    if surface.startswith("anthropic.") and param is not None:
        assert param in error["message"]


_ANTHROPIC_TYPES = {403: "permission_error", 404: "not_found_error", 413: "request_too_large"}


def check_answer(surface: Surface, body: bytes, *, translated: bool) -> None:
    """Of what is passed through the vendor's own shape is not judged."""
    found = strict_json(body)
    assert isinstance(found, dict)
    if translated:
        _ANSWERS[surface](found)


def _chat(found: Json) -> None:
    assert found["object"] == "chat.completion"
    for choice in found["choices"]:
        assert choice["message"]["role"] == "assistant"
        assert isinstance(choice["finish_reason"], str)
        for call in choice["message"].get("tool_calls") or ():
            assert isinstance(call["function"]["arguments"], str)
            assert call["id"] != ""
            assert isinstance(call["function"]["name"], str)


def _response(found: Json) -> None:
    assert found["object"] == "response"
    assert found["status"] in ("completed", "incomplete")
    assert isinstance(found["output"], list)


def _message(found: Json) -> None:
    assert (found["type"], found["role"]) == ("message", "assistant")
    assert isinstance(found["stop_reason"], str)
    for block in found["content"]:
        assert isinstance(block["type"], str)
        assert block["type"] != "tool_use" or isinstance(block["input"], dict)


def _generated(found: Json) -> None:
    for candidate in found.get("candidates", ()):
        for part in candidate.get("content", {}).get("parts", ()):
            assert "functionCall" not in part or isinstance(part["functionCall"].get("args", {}), dict)


def _embeddings(found: Json) -> None:
    assert found["object"] == "list"
    for number, each in enumerate(found["data"]):
        assert each["index"] == number
        assert isinstance(each["embedding"], str | list)


_ANSWERS: dict[Surface, Callable[[Json], None]] = {
    "openai.chat": _chat,
    "openai.responses": _response,
    "openai.embeddings": _embeddings,
    "anthropic.messages": _message,
    "anthropic.count_tokens": lambda found: None,
    "gemini.generate": _generated,
}


def check_stream(surface: Surface, data: bytes, *, complete: bool, translated: bool) -> None:
    """All that a client got: whole events, each of them JSON; a complete one is closed as its API closes it."""
    if not data:
        assert not complete, "a whole answer of nothing"
        return
    events = list(map(_event, _blocks(data)))
    if surface == "openai.chat":
        ends = [number for number, (_, payload) in enumerate(events) if payload == "[DONE]"]
        assert ends == ([len(events) - 1] if complete else []), ends
    elif surface == "anthropic.messages":
        assert all(name == payload["type"] for name, payload in events if translated)
        if translated:
            _check_messages_stream([payload for _, payload in events], complete=complete)
    elif surface == "openai.responses" and translated:
        numbers = [payload["sequence_number"] for _, payload in events]
        assert numbers == list(range(len(numbers)))
        assert all(name == payload["type"] for name, payload in events)
        last = events[-1][1]
        assert (last["type"] in ("response.completed", "response.incomplete")) == complete
        if complete:
            _response(last["response"])
    elif surface == "gemini.generate" and translated:
        reasons = [c.get("finishReason") for _, payload in events for c in payload.get("candidates", ())]
        assert (reasons[-1] is not None) == complete
        for _, payload in events:
            _generated(payload)


def _blocks(data: bytes) -> list[bytes]:
    blocks = data.replace(b"\r\n", b"\n").split(b"\n\n")
    assert blocks.pop() == b"", "a stream that ends within an event"
    return [block for block in blocks if block.strip(b"\n")]


def _event(block: bytes) -> tuple[str, Any]:
    name, payload = "", None
    for line in block.strip(b"\n").split(b"\n"):
        field, _, value = line.partition(b": ")
        if field == b"event":
            name = value.decode()
        else:
            assert field == b"data", line
            assert payload is None, "two lines of data"
            payload = "[DONE]" if value == b"[DONE]" else strict_json(value)
    assert payload is not None, block
    return name, payload


def _check_messages_stream(payloads: list[Json], *, complete: bool) -> None:
    assert payloads[0]["type"] == "message_start"
    open_block: int | None = None
    blocks = 0
    for payload in payloads[1:]:
        match payload["type"]:
            case "content_block_start":
                assert (open_block, payload["index"]) == (None, blocks)
                open_block, blocks = blocks, blocks + 1
            case "content_block_delta":
                assert payload["index"] == open_block
            case "content_block_stop":
                assert payload["index"] == open_block
                open_block = None
            case "message_delta" | "message_stop":
                assert open_block is None
            case kind:
                assert kind == "ping", kind
    kinds = [payload["type"] for payload in payloads]
    assert kinds.count("message_start") == 1
    assert kinds.count("message_stop") == int(complete)
    assert not complete or kinds[-2:] == ["message_delta", "message_stop"]
