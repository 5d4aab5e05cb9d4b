"""OpenAI's chat completions as the vendor sends and takes them.

Source: OpenAI API reference, "Chat completions" (object, chunk object, usage with its details), "Error codes",
"Rate limits"; figures for cache writes as in the SDK's `PromptTokensDetails`.
"""

import json

from router_worker.vendors.table import BUILT_IN
from tests.matrix.meaning import Asked, Call, Figures, Json, Result, Scenario, VendorAnswer, VendorError
from tests.matrix.sse_events import data, dumps, shown
from tests.matrix.story import Story, story

FIGURES = Figures(input=1200, cached=640, written=128, output=330, reasoning=192)
_USAGE: Json = {
    "prompt_tokens": 1200,
    "completion_tokens": 330,
    "total_tokens": 1530,
    "prompt_tokens_details": {"cached_tokens": 640, "audio_tokens": 0, "cache_write_tokens": 128},
    "completion_tokens_details": {
        "reasoning_tokens": 192,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_IDS = ("call_9pw1qnYScqvGrCH58HWCvFH6", "call_DdmO9pD3xa9XTPNJ32zg2hcA")
_HEAD: Json = {"id": "chatcmpl-CKv1", "created": 1763800000, "model": "gpt-5-mini-2025-08-07"}

_ERRORS = {
    "error_429": VendorError(
        status=429,
        headers={"retry-after-ms": "1500", "retry-after": "2", "x-request-id": "req_1"},
        body=dumps(
            {
                "error": {
                    "message": "Rate limit reached for gpt-5-mini in organization org-x on tokens per min (TPM).",
                    "type": "tokens",
                    "param": None,
                    "code": "rate_limit_exceeded",
                }
            }
        ).encode(),
        kind="vendor_rate_limited",
        advance=True,
        retry_after_s=1.5,
    ),
    "error_400": VendorError(
        status=400,
        headers={"x-request-id": "req_2"},
        body=dumps(
            {
                "error": {
                    "message": "This model's maximum context length is 400000 tokens.",
                    "type": "invalid_request_error",
                    "param": "messages",
                    "code": "context_length_exceeded",
                }
            }
        ).encode(),
        kind="vendor_refused_request",
        advance=False,
    ),
}


class OpenAiWire:
    name = "openai"
    row = BUILT_IN["openai"]
    vendor_model = "gpt-5-mini"
    signs = False
    errors = _ERRORS
    stream_error = data(
        {
            "error": {
                "message": "The server had an error while processing your request.",
                "type": "server_error",
                "param": None,
                "code": None,
            }
        }
    )

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer:
        told = story(scenario, thinks=False)
        body = dumps(
            _HEAD
            | {
                "object": "chat.completion",
                "choices": [
                    {"index": 0, "message": _message(told), "logprobs": None, "finish_reason": told.finish},
                ],
                "usage": _USAGE,
                "service_tier": "default",
                "system_fingerprint": "fp_1",
            }
        ).encode()
        deltas: list[Json] = [{"role": "assistant", "content": "" if told.text else None, "refusal": None}]
        if told.text is not None:
            deltas += [{"content": piece} for piece in told.text.pieces]
        for index, use in enumerate(told.uses):
            function = {"name": use.name, "arguments": ""}
            deltas.append(
                {"tool_calls": [{"index": index, "id": _IDS[index], "type": "function", "function": function}]}
            )
            deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in use.pieces]
        chunks = [_chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]) for delta in deltas]
        chunks.append(_chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": told.finish}]))
        usage = _chunk([]) | {"usage": _USAGE}
        events = (*map(data, chunks), data(usage), b"data: [DONE]\n\n")
        # Many vendors of this format send no mark at the end: with its reason the answer is whole.
        return VendorAnswer(
            said=told.said(_IDS[: len(told.uses)]),
            figures=FIGURES,
            body=body,
            events=events,
            shown=shown(events),
            whole_after=len(events) - 2,
        )

    def read_request(self, url_path: str, request: Json) -> Asked:
        assert url_path == "/chat/completions"
        return read_chat_request(request)


def _message(told: Story) -> Json:
    message: Json = {"role": "assistant", "content": None if told.text is None else told.text.text, "refusal": None}
    if told.uses:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": use.name, "arguments": use.text}}
            for call_id, use in zip(_IDS, told.uses, strict=True)
        ]
    else:
        message["annotations"] = []
    return message


def _chunk(choices: list[Json]) -> Json:
    rest = {"object": "chat.completion.chunk", "service_tier": "default", "choices": choices, "usage": None}
    return _HEAD | rest | {"obfuscation": "x9Kq"}


def read_chat_request(request: Json) -> Asked:
    """Of every vendor of this format."""
    system, text, replayed = "", "", ""
    images: list[tuple[str, str]] = []
    calls: list[Call] = []
    results: list[Result] = []
    for message in request["messages"]:
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        words = "".join(part["text"] for part in parts if part["type"] == "text")
        match message["role"]:
            case "system" | "developer":
                system += words
            case "user":
                text += words
                images += [_image(part) for part in parts if part["type"] == "image_url"]
            case "assistant":
                replayed += words
                for call in message.get("tool_calls") or ():
                    function = call["function"]
                    calls.append(Call(call["id"], function["name"], json.loads(function["arguments"])))
            case "tool":
                results.append(Result(message["tool_call_id"], words))
    shape = request.get("response_format")
    return Asked(
        system=system,
        text=text,
        replayed=replayed,
        images=tuple(images),
        tools=tuple(tool["function"]["name"] for tool in request.get("tools") or ()),
        schema=None if shape is None else shape["json_schema"]["schema"],
        calls=tuple(calls),
        results=tuple(results),
    )


def _image(part: Json) -> tuple[str, str]:
    url = part["image_url"]
    address = url["url"] if isinstance(url, dict) else url
    media_type, _, encoded = address.removeprefix("data:").partition(";base64,")
    return media_type, encoded
