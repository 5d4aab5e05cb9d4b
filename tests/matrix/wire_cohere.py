"""Cohere's chat (API v2) as the vendor sends and takes it.

Source: Cohere API reference, "Chat" and "Chat with streaming"; docs "Streaming", "Tool use: streaming", "Reasoning",
"How does Cohere's pricing work" (what is billed), "Errors".
"""

import json

from router_worker.vendors.table import BUILT_IN
from tests.matrix.meaning import Asked, Call, Figures, Finish, Json, Result, Scenario, VendorAnswer, VendorError
from tests.matrix.sse_events import dumps, named, shown
from tests.matrix.story import Story, Talk, story

# What is billed; the other figures count Cohere's own words around the prompt too.
FIGURES = Figures(input=1200, cached=640, output=330)
_USAGE: Json = {
    "billed_units": {"input_tokens": 1200.0, "output_tokens": 330.0},
    "tokens": {"input_tokens": 1696.0, "output_tokens": 338.0},
    "cached_tokens": 640.0,
}
_IDS = ("get_weather_1byjy32y4hvq", "get_weather_ycy32y4hvq1b")
_REASONS: dict[Finish, str] = {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS"}
_ID = "fba98ad3-e5a1-413c-a8de-84fbf9baabf7"

_ERRORS = {
    "error_429": VendorError(
        status=429,
        headers={"x-debug-trace-id": "t-1"},
        body=b'{"id":"1","message":"You are past the per minute request limit, please wait and try again later."}',
        kind="vendor_rate_limited",
        advance=True,
    ),
    "error_400": VendorError(
        status=400,
        headers={"x-debug-trace-id": "t-2"},
        body=b'{"id":"2","message":"invalid request: all elements in history must have a message."}',
        kind="vendor_refused_request",
        advance=False,
    ),
}


class CohereWire:
    name = "cohere"
    row = BUILT_IN["cohere"]
    vendor_model = "command-a-reasoning-08-2025"
    signs = False
    errors = _ERRORS
    stream_error = named({"type": "message-end", "delta": {"error": "upstream failed", "finish_reason": "ERROR"}})

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer:
        told = story(scenario, thinks=True)
        reason = _REASONS[told.finish]
        empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        payloads: list[Json] = [{"type": "message-start", "id": _ID, "delta": {"message": empty}}]
        index = 0
        talks: tuple[tuple[str, Talk | None], ...] = (("thinking", told.thought), ("text", told.text))
        for kind, talk in talks:
            if talk is None:
                continue
            opening: Json = {"message": {"content": {"type": kind, kind: ""}}}
            payloads.append({"type": "content-start", "index": index, "delta": opening})
            payloads += [
                {"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: piece}}}}
                for piece in talk.pieces
            ]
            payloads.append({"type": "content-end", "index": index})
            index += 1
        for number, use in enumerate(told.uses):
            call = {"id": _IDS[number], "type": "function", "function": {"name": use.name, "arguments": ""}}
            payloads.append({"type": "tool-call-start", "index": number, "delta": {"message": {"tool_calls": call}}})
            for piece in use.pieces:
                delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
                payloads.append({"type": "tool-call-delta", "index": number, "delta": delta})
            payloads.append({"type": "tool-call-end", "index": number})
        end = {"error": None, "finish_reason": reason, "usage": _USAGE}
        payloads.append({"type": "message-end", "id": _ID, "delta": end})
        events = tuple(map(named, payloads))
        body = {"id": _ID, "finish_reason": reason, "message": _message(told), "usage": _USAGE}
        return VendorAnswer(
            said=told.said(_IDS[: len(told.uses)]),
            figures=FIGURES,
            body=dumps(body).encode(),
            events=events,
            shown=shown(events),
            whole_after=len(events),
        )

    def read_request(self, url_path: str, request: Json) -> Asked:
        assert url_path == "/v2/chat"
        system, text, replayed = "", "", ""
        images: list[tuple[str, str]] = []
        calls: list[Call] = []
        results: list[Result] = []
        for message in request["messages"]:
            content = message.get("content")
            parts: list[Json] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
            match message["role"]:
                case "system":
                    system += "".join(part["text"] for part in parts)
                case "user":
                    text += "".join(part["text"] for part in parts if part["type"] == "text")
                    images += [_image(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
                case "assistant":
                    replayed += "".join(part["text"] for part in parts)
                    for call in message.get("tool_calls", ()):
                        function = call["function"]
                        calls.append(Call(call["id"], function["name"], json.loads(function["arguments"])))
                case "tool":
                    results.append(Result(message["tool_call_id"], "".join(map(_result, parts))))
        return Asked(
            system=system,
            text=text,
            replayed=replayed,
            images=tuple(images),
            tools=tuple(tool["function"]["name"] for tool in request.get("tools", ())),
            schema=request.get("response_format", {}).get("json_schema"),
            calls=tuple(calls),
            results=tuple(results),
        )


def _message(told: Story) -> Json:
    message: Json = {"role": "assistant"}
    content: list[Json] = [{"type": "thinking", "thinking": told.thought.text}] if told.thought is not None else []
    if told.text is not None:
        content.append({"type": "text", "text": told.text.text})
    if content:
        message["content"] = content
    if told.uses:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": use.name, "arguments": use.text}}
            for call_id, use in zip(_IDS, told.uses, strict=True)
        ]
    return message


def _image(url: str) -> tuple[str, str]:
    media_type, _, encoded = url.removeprefix("data:").partition(";base64,")
    return media_type, encoded


def _result(part: Json) -> str:
    text: str = part["text"] if part["type"] == "text" else part["document"]["data"]
    return text
