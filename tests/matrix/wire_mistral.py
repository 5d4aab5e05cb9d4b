"""Mistral's chat completions as the vendor sends and takes them, where they differ from OpenAI's.

Source: Mistral API reference, "Chat", docs "Reasoning" (thinking chunks), "Function calling", "Prompt caching".
"""

from router_worker.vendors.table import BUILT_IN
from tests.matrix.meaning import Asked, Figures, Json, Scenario, VendorAnswer, VendorError
from tests.matrix.sse_events import data, dumps, shown
from tests.matrix.story import Story, story
from tests.matrix.wire_openai import read_chat_request

FIGURES = Figures(input=1200, cached=640, output=330)
_USAGE: Json = {
    "prompt_tokens": 1200,
    "completion_tokens": 330,
    "total_tokens": 1530,
    "prompt_tokens_details": {"cached_tokens": 640},
}
_IDS = ("VvvODy9mT", "aB3dE6gH9")
_HEAD: Json = {"id": "cmpl-e5cc70bb28c444948073e77776eb30ef", "created": 1763800000, "model": "mistral-medium-3-5"}

_ERRORS = {
    "error_429": VendorError(
        status=429,
        headers={"mistral-correlation-id": "c-1", "retry-after": "3"},
        body=dumps(
            {
                "object": "error",
                "message": "Requests rate limit exceeded",
                "type": "rate_limited",
                "param": None,
                "code": "1300",
                "raw_status_code": 429,
            }
        ).encode(),
        kind="vendor_rate_limited",
        advance=True,
        retry_after_s=3.0,
    ),
    "error_400": VendorError(
        status=400,
        headers={"mistral-correlation-id": "c-2"},
        body=dumps(
            {
                "object": "error",
                "message": "Expected last role User or Tool (or Assistant with prefix True) for serving.",
                "type": "invalid_request_message_order",
                "param": None,
                "code": "3230",
            }
        ).encode(),
        kind="vendor_refused_request",
        advance=False,
    ),
}


class MistralWire:
    name = "mistral"
    row = BUILT_IN["mistral"]
    vendor_model = "mistral-medium-3-5"
    signs = False
    errors = _ERRORS
    stream_error = data(
        {
            "object": "error",
            "message": "Service unavailable.",
            "type": "unreachable_backend",
            "param": None,
            "code": "1100",
        }
    )

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer:
        told = story(scenario, thinks=True)
        finish = told.finish
        choice = {"index": 0, "message": _message(told), "finish_reason": finish}
        body = dumps(_HEAD | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        if told.thought is not None:
            deltas += [{"content": [_thinking(piece)]} for piece in told.thought.pieces]
        if told.text is not None:
            deltas += [{"content": piece} for piece in told.text.pieces]
        last: Json = {"content": ""}
        if told.uses:
            # Whole, and both at once.
            last["tool_calls"] = _calls(told)
        chunks = [_chunk(delta, None) for delta in deltas]
        chunks.append(_chunk(last, finish) | {"usage": _USAGE})
        events = (*map(data, chunks), b"data: [DONE]\n\n")
        return VendorAnswer(
            said=told.said(_IDS[: len(told.uses)]),
            figures=FIGURES,
            body=body,
            events=events,
            shown=shown(events),
            whole_after=len(events) - 1,
        )

    def read_request(self, url_path: str, request: Json) -> Asked:
        assert url_path == "/chat/completions"
        assert "stream_options" not in request
        assert "max_completion_tokens" not in request
        asked = read_chat_request(request)
        assert all(call.call_id is not None and len(call.call_id) == 9 for call in asked.calls)
        return asked


def _message(told: Story) -> Json:
    content: str | list[Json] = "" if told.text is None else told.text.text
    if told.thought is not None:
        content = [_thinking(told.thought.text), {"type": "text", "text": content}]
    return {"role": "assistant", "content": content, "tool_calls": _calls(told) or None, "prefix": False}


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _calls(told: Story) -> list[Json]:
    return [
        {
            "id": _IDS[index],
            "type": "function",
            "function": {"name": use.name, "arguments": use.text},
            "index": index,
        }
        for index, use in enumerate(told.uses)
    ]


def _chunk(delta: Json, finish: str | None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return _HEAD | {"object": "chat.completion.chunk", "choices": [choice]}
