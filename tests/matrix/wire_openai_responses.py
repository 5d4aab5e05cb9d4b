"""OpenAI's Responses as the vendor sends and takes them: for clients of the same API, which pass through.

Source: OpenAI API reference, "The response object", "Streaming events".
"""

import json

from router_worker.vendors.table import BUILT_IN
from tests.matrix.meaning import Asked, Call, Figures, Json, Result, Scenario, VendorAnswer
from tests.matrix.sse_events import dumps, named, shown
from tests.matrix.story import story
from tests.matrix.wire_openai import OpenAiWire

FIGURES = Figures(input=1200, cached=640, written=128, output=330, reasoning=192)
_USAGE: Json = {
    "input_tokens": 1200,
    "input_tokens_details": {"cached_tokens": 640, "cache_write_tokens": 128},
    "output_tokens": 330,
    "output_tokens_details": {"reasoning_tokens": 192},
    "total_tokens": 1530,
}
_IDS = ("call_unLAR8MvFNptuiZK6K6HCy5k", "call_pOPMWQ1ZGJPIgbBkVXCGOXVQ")
_ENCRYPTED = "gAAAAABo-opaque=="
_RESPONSE: Json = {
    "id": "resp_67ccd2bed1ec8190b14f964abc054267",
    "object": "response",
    "created_at": 1763800000,
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": 4000,
    "metadata": {},
    "model": "gpt-5-mini-2025-08-07",
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}


class OpenAiResponsesWire:
    name = "openai"
    row = BUILT_IN["openai"]
    vendor_model = "gpt-5-mini"
    signs = True
    errors = OpenAiWire.errors
    stream_error = named(
        {
            "type": "error",
            "code": "server_error",
            "message": "The server had an error.",
            "param": None,
            "sequence_number": 3,
        }
    )

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer:
        told = story(scenario, thinks=True)
        events = _Events()
        if told.thought is not None:
            events.reason(told.thought.pieces)
        if told.text is not None:
            events.say(told.text.pieces)
        for call_id, use in zip(_IDS, told.uses, strict=False):
            events.use(call_id, use.name, use.pieces)
        whole = _RESPONSE | {"status": "completed", "output": events.output, "usage": _USAGE}
        if told.is_cut_off:
            whole |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        events.emit(f"response.{whole['status']}", response=whole)
        sent = tuple(map(named, events.payloads))
        return VendorAnswer(
            said=told.said(_IDS[: len(told.uses)]),
            figures=FIGURES,
            body=dumps(whole).encode(),
            events=sent,
            shown=shown(sent),
            whole_after=len(sent),
        )

    def read_request(self, url_path: str, request: Json) -> Asked:
        assert url_path == "/responses"
        text, replayed = "", ""
        images: list[tuple[str, str]] = []
        calls: list[Call] = []
        results: list[Result] = []
        signed = False
        for item in request["input"]:
            match item.get("type", "message"):
                case "message" if item["role"] == "user":
                    text += "".join(part["text"] for part in item["content"] if part["type"] == "input_text")
                    for part in item["content"]:
                        if part["type"] == "input_image":
                            media_type, _, data = part["image_url"].removeprefix("data:").partition(";base64,")
                            images.append((media_type, data))
                case "message":
                    replayed += "".join(part["text"] for part in item["content"])
                case "reasoning":
                    signed = signed or item["encrypted_content"] == _ENCRYPTED
                case "function_call":
                    calls.append(Call(item["call_id"], item["name"], json.loads(item["arguments"])))
                case "function_call_output":
                    results.append(Result(item["call_id"], item["output"]))
        return Asked(
            system=request["instructions"],
            text=text,
            replayed=replayed,
            images=tuple(images),
            tools=tuple(tool["name"] for tool in request.get("tools", ())),
            schema=request.get("text", {}).get("format", {}).get("schema"),
            calls=tuple(calls),
            results=tuple(results),
            signed=signed,
        )


class _Events:
    def __init__(self) -> None:
        self.payloads: list[Json] = []
        self.output: list[Json] = []
        opening = _RESPONSE | {"status": "in_progress", "output": [], "usage": None}
        self.emit("response.created", response=opening)
        self.emit("response.in_progress", response=opening)

    def emit(self, kind: str, **fields: object) -> None:
        self.payloads.append({"type": kind, "sequence_number": len(self.payloads)} | fields)

    def reason(self, pieces: tuple[str, ...]) -> None:
        item: Json = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": _ENCRYPTED}
        index = self._added(item)
        place = {"item_id": item["id"], "output_index": index, "summary_index": 0}
        part = {"type": "summary_text", "text": "".join(pieces)}
        self.emit("response.reasoning_summary_part.added", **place, part=part | {"text": ""})
        for piece in pieces:
            self.emit("response.reasoning_summary_text.delta", **place, delta=piece)
        self.emit("response.reasoning_summary_text.done", **place, text=part["text"])
        self.emit("response.reasoning_summary_part.done", **place, part=part)
        self._done(item | {"summary": [part]})

    def say(self, pieces: tuple[str, ...]) -> None:
        item: Json = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        index = self._added(item)
        place = {"item_id": item["id"], "output_index": index, "content_index": 0}
        part: Json = {"type": "output_text", "annotations": [], "logprobs": [], "text": "".join(pieces)}
        self.emit("response.content_part.added", **place, part=part | {"text": ""})
        for piece in pieces:
            self.emit("response.output_text.delta", **place, delta=piece, logprobs=[], obfuscation="x9")
        self.emit("response.output_text.done", **place, text=part["text"], logprobs=[])
        self.emit("response.content_part.done", **place, part=part)
        self._done(item | {"status": "completed", "content": [part]})

    def use(self, call_id: str, name: str, pieces: tuple[str, ...]) -> None:
        item: Json = {"id": f"fc_{call_id}", "type": "function_call", "status": "in_progress", "arguments": ""}
        item |= {"call_id": call_id, "name": name}
        place = {"item_id": item["id"], "output_index": self._added(item)}
        for piece in pieces:
            self.emit("response.function_call_arguments.delta", **place, delta=piece, obfuscation="x9")
        arguments = "".join(pieces)
        self.emit("response.function_call_arguments.done", **place, name=name, arguments=arguments)
        self._done(item | {"status": "completed", "arguments": arguments})

    def _added(self, item: Json) -> int:
        self.emit("response.output_item.added", output_index=len(self.output), item=item)
        return len(self.output)

    def _done(self, item: Json) -> None:
        self.emit("response.output_item.done", output_index=len(self.output), item=item)
        self.output.append(item)
