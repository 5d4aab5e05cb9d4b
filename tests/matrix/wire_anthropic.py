"""Anthropic's messages as the vendor sends and takes them.

Source: Claude API reference, "Create a message", "Streaming messages", "Errors", "Rate limits"; docs "Prompt caching"
(usage of both caches), "Extended thinking", "Structured outputs".
"""

from typing import Any

from router_worker.vendors.table import BUILT_IN
from tests.matrix.meaning import (
    THOUGHT,
    Asked,
    Call,
    Figures,
    Finish,
    Json,
    Result,
    Scenario,
    VendorAnswer,
    VendorError,
)
from tests.matrix.sse_events import dumps, named, shown
from tests.matrix.story import story

FIGURES = Figures(input=1340, cached=640, written=300, written_1h=200, output=330, reasoning=192)
_USAGE: Json = {
    "input_tokens": 400,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 640,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 330,
    "output_tokens_details": {"thinking_tokens": 192},
    "service_tier": "standard",
    "inference_geo": "global",
}
# The first figures, before anything was generated, and the last ones: cumulative.
_USAGE_AT_START = {name: value for name, value in _USAGE.items() if name != "output_tokens_details"} | {
    "output_tokens": 3
}
_USAGE_AT_END = {
    name: _USAGE[name]
    for name in (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
    )
}
_IDS = ("toolu_01A09q90qw90lq917835lq9", "toolu_01B7xkq1gq8rLmwe2hQm4tSW")
_REASONS: dict[Finish, str] = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
_SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds=="

_ERRORS = {
    "error_429": VendorError(
        status=429,
        headers={"request-id": "req_011CSHoEeqs5C35K2UUqR7Fy", "retry-after": "7"},
        body=dumps(
            {
                "type": "error",
                "error": {
                    "type": "rate_limit_error",
                    "message": "This request would exceed your organization's rate limit of 30,000 input tokens.",
                },
                "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
            }
        ).encode(),
        kind="vendor_rate_limited",
        advance=True,
        retry_after_s=7.0,
    ),
    "error_400": VendorError(
        status=400,
        headers={"request-id": "req_2"},
        body=dumps(
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "prompt is too long: 213423 tokens > 200000 maximum",
                },
                "request_id": "req_2",
            }
        ).encode(),
        kind="vendor_refused_request",
        advance=False,
    ),
}


class AnthropicWire:
    name = "anthropic"
    row = BUILT_IN["anthropic"]
    vendor_model = "claude-sonnet-4-5-20250929"
    signs = True
    errors = _ERRORS
    stream_error = named({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer:
        told = story(scenario, thinks=True)
        blocks: list[tuple[Json, Json, list[Json]]] = []  # whole, opening, deltas
        if told.thought is not None:
            blocks.append(
                (
                    {"type": "thinking", "thinking": told.thought.text, "signature": _SIGNATURE},
                    {"type": "thinking", "thinking": "", "signature": ""},
                    [
                        *({"type": "thinking_delta", "thinking": piece} for piece in told.thought.pieces),
                        {"type": "signature_delta", "signature": _SIGNATURE},
                    ],
                )
            )
        if told.text is not None:
            pieces = [{"type": "text_delta", "text": piece} for piece in told.text.pieces]
            blocks.append(({"type": "text", "text": told.text.text}, {"type": "text", "text": ""}, pieces))
        for call_id, use in zip(_IDS, told.uses, strict=False):
            opening: Json = {"type": "tool_use", "id": call_id, "name": use.name, "input": {}}
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *use.pieces)]
            blocks.append((opening | {"input": use.arguments}, opening, pieces))
        reason = _REASONS[told.finish]
        message: Json = {
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
            "type": "message",
            "role": "assistant",
            "model": self.vendor_model,
        }
        whole = {"content": [block[0] for block in blocks], "stop_reason": reason, "stop_sequence": None}
        start: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _USAGE_AT_START}
        payloads: list[Json] = [{"type": "message_start", "message": message | start}]
        for index, (_, opening, pieces) in enumerate(blocks):
            payloads.append({"type": "content_block_start", "index": index, "content_block": opening})
            if index == 0:
                payloads.append({"type": "ping"})
            payloads += [{"type": "content_block_delta", "index": index, "delta": piece} for piece in pieces]
            payloads.append({"type": "content_block_stop", "index": index})
        end = {"stop_reason": reason, "stop_sequence": None}
        payloads += [{"type": "message_delta", "delta": end, "usage": _USAGE_AT_END}, {"type": "message_stop"}]
        events = tuple(map(named, payloads))
        return VendorAnswer(
            said=told.said(_IDS[: len(told.uses)]),
            figures=FIGURES,
            body=dumps(message | whole | {"usage": _USAGE}).encode(),
            events=events,
            shown=shown(events),
            # Compatible servers close after the reason; the mark behind it says nothing more.
            whole_after=len(events) - 1,
        )

    def read_request(self, url_path: str, request: Json) -> Asked:
        assert url_path == "/messages"
        system = request.get("system", "")
        text, replayed = "", ""
        images: list[tuple[str, str]] = []
        calls: list[Call] = []
        results: list[Result] = []
        signed = False
        for message in request["messages"]:
            for block in _blocks(message["content"]):
                match block["type"]:
                    case "text" if message["role"] == "user":
                        text += block["text"]
                    case "thinking":
                        signed = signed or (block["thinking"], block["signature"]) == (THOUGHT, _SIGNATURE)
                    case "text":
                        replayed += block["text"]
                    case "image":
                        images.append((block["source"]["media_type"], block["source"]["data"]))
                    case "tool_use":
                        calls.append(Call(block["id"], block["name"], block["input"]))
                    case "tool_result":
                        words = "".join(part["text"] for part in _blocks(block["content"]))
                        results.append(Result(block["tool_use_id"], words))
        shape = (request.get("output_config") or {}).get("format") or request.get("output_format")
        return Asked(
            system="".join(block["text"] for block in _blocks(system)),
            text=text,
            replayed=replayed,
            images=tuple(images),
            tools=tuple(tool["name"] for tool in request.get("tools", ())),
            schema=None if shape is None else shape["schema"],
            calls=tuple(calls),
            results=tuple(results),
            signed=signed,
        )


def _blocks(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content)
