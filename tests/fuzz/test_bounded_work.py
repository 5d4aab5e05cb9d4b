"""Large bodies of every nasty kind take work in proportion to their size, whether they are refused or built.

A ratio of CPU time between two sizes of the same body: sixteen times as much may take 40 times as long. What is
quadratic takes 256 times as long.
"""

import gc
import json
import time
from collections.abc import Callable

import pytest

from schemas.envelope import Surface
from tests.fuzz.request_samples import PNG
from tests.fuzz.test_request_bodies import judge
from tests.fuzz.worker_ways import DESTINATIONS, SAMPLES, Handled, handle

SMALL_BYTES, GROWTH = 64 * 1024, 16
MOST_TIMES = 40
TRIES = 4
# One of each format.
_VENDORS = ("openai", "mistral", "anthropic", "gemini", "bedrock", "cohere")
SIX = tuple(next(each for each in DESTINATIONS if each.vendor == vendor) for vendor in _VENDORS)

_HI = {
    "openai.chat": {"role": "user", "content": "hi"},
    "openai.responses": {"role": "user", "content": "hi"},
    "anthropic.messages": {"role": "user", "content": "hi"},
    "anthropic.count_tokens": {"role": "user", "content": "hi"},
    "gemini.generate": {"role": "user", "parts": [{"text": "hi"}]},
}
_LIST: dict[Surface, str] = {
    "openai.chat": "messages",
    "openai.responses": "input",
    "openai.embeddings": "input",
    "anthropic.messages": "messages",
    "anthropic.count_tokens": "messages",
    "gemini.generate": "contents",
}


def _with(surface: Surface, items: list[object], **fields: object) -> bytes:
    body = SAMPLES[surface][-1 if surface != "anthropic.count_tokens" else 0]
    return json.dumps({**body, _LIST[surface]: items, **fields}, ensure_ascii=False).encode()


def _raw_field(surface: Surface, name: str, text: str) -> bytes:
    body = json.dumps(SAMPLES[surface][-1])
    return f'{body[:-1]},"{name}":{text}}}'.encode()


def _many_turns(surface: Surface, size: int) -> bytes:
    hi: object = _HI.get(surface, "hi")
    return _with(surface, [hi] * (size // len(json.dumps(hi))))


def _many_calls(surface: Surface, size: int) -> bytes:
    """One turn with thousands of calls, and their results in the opposite order."""
    number = size // 260
    ids = [f"call_{each}" for each in range(number)]
    hi = _HI.get(surface, "hi")
    match surface:
        case "openai.chat":
            calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
            results = [{"role": "tool", "tool_call_id": each, "content": "x" * 100} for each in reversed(ids)]
            return _with(surface, [hi, {"role": "assistant", "tool_calls": calls}, *results])
        case "openai.responses":
            asked = [{"type": "function_call", "call_id": each, "name": "f", "arguments": "{}"} for each in ids]
            said = [{"type": "function_call_output", "call_id": each, "output": "x" * 80} for each in reversed(ids)]
            return _with(surface, [hi, *asked, *said])
        case "anthropic.messages" | "anthropic.count_tokens":
            uses = [{"type": "tool_use", "id": each, "name": "f", "input": {}} for each in ids]
            got = [{"type": "tool_result", "tool_use_id": each, "content": "x" * 100} for each in reversed(ids)]
            return _with(surface, [hi, {"role": "assistant", "content": uses}, {"role": "user", "content": got}])
        case "gemini.generate":
            asking = [{"functionCall": {"id": each, "name": "f", "args": {}}} for each in ids]
            told = [
                {"functionResponse": {"id": each, "name": "f", "response": {"x": "y" * 60}}} for each in reversed(ids)
            ]
            return _with(surface, [hi, {"role": "model", "parts": asking}, {"role": "user", "parts": told}])
    return _with(surface, [[each] for each in range(size // 8)])


def _many_parts(surface: Surface, size: int) -> bytes:
    number = size // 30
    match surface:
        case "openai.chat" | "anthropic.messages" | "anthropic.count_tokens":
            return _with(surface, [{"role": "user", "content": [{"type": "text", "text": "x"}] * number}])
        case "openai.responses":
            return _with(surface, [{"role": "user", "content": [{"type": "input_text", "text": "x"}] * number}])
        case "gemini.generate":
            return _with(surface, [{"role": "user", "parts": [{"text": "x"}] * number}])
    return _with(surface, [1] * number)


def _many_tools(surface: Surface, size: int) -> bytes:
    number = size // 120
    parameters = {"type": "object", "properties": {"a": {"type": "string"}}}
    items = [_HI.get(surface, "hi")]
    names = [f"f{each}" for each in range(number)]
    if surface == "openai.chat":
        chat = [{"type": "function", "function": {"name": each, "parameters": parameters}} for each in names]
        choice = {"type": "function", "function": {"name": names[-1]}}
        return _with(surface, items, tools=chat, tool_choice=choice)
    if surface == "openai.responses":
        return _with(surface, items, tools=[{"type": "function", "name": n, "parameters": parameters} for n in names])
    if surface == "gemini.generate":
        declared = [{"name": each, "parameters": parameters} for each in names]
        config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": names}}
        return _with(surface, items, tools=[{"functionDeclarations": declared}], toolConfig=config)
    return _with(surface, items, tools=[{"name": each, "input_schema": parameters} for each in names])


def _image(surface: Surface, size: int) -> bytes:
    data = PNG.rstrip("=")[:84] * (size // 84)
    match surface:
        case "openai.chat":
            part: object = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        case "openai.responses":
            part = {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}
        case "gemini.generate":
            return _with(
                surface, [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}]
            )
        case _:
            part = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    return _with(surface, [{"role": "user", "content": [part]}])


NASTY: dict[str, Callable[[Surface, int], bytes]] = {
    "turns": _many_turns,
    "calls": _many_calls,
    "parts": _many_parts,
    "tools": _many_tools,
    "image": _image,
    "flat lists": lambda surface, size: _raw_field(surface, "metadata", "[" + "[]," * (size // 3) + "[]]"),
    "some depth": lambda surface, size: _raw_field(
        surface, "metadata", "[" + ("[" * 150 + "]" * 150 + ",") * (size // 301) + "1]"
    ),
    "too deep": lambda surface, size: _raw_field(surface, "metadata", "[" * (size // 2) + "]" * (size // 2)),
    "unclosed": lambda surface, size: b"[" * size,
    "braces in a string": lambda surface, size: _raw_field(surface, "user", json.dumps("[{\\" * (size // 4))),
    "half pairs": lambda surface, size: _raw_field(surface, "user", '"' + "\\ud83d" * (size // 6) + '"'),
    "digits": lambda surface, size: _raw_field(surface, "seed", "1" * size),
    "fraction": lambda surface, size: _raw_field(surface, "temperature", "0." + "1" * size),
    "blanks": lambda surface, size: _raw_field(surface, "user", '"x"' + " \n" * (size // 2)),
    "unknown fields": lambda surface, size: _raw_field(
        surface, "metadata", "{" + ",".join(f'"k{each}":1' for each in range(size // 9)) + "}"
    ),
    "one key again and again": lambda surface, size: _raw_field(
        surface, "user", ",".join(['"x","user":"y"'] * (size // 15))
    ),
    "stops": lambda surface, size: _raw_field(surface, "stop_sequences", json.dumps(["stop"] * (size // 8))),
    "a long name": lambda surface, size: _raw_field(surface, "n" * size, "1"),
    "a long model": lambda surface, size: _raw_field(surface, "model", json.dumps("m" * size)),
    "a data URL of nothing": lambda surface, size: _image(surface, 84).replace(
        b"data:image/png;base64", b"data:" + b";a=b" * (size // 4)
    ),
}


@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.parametrize("surface", SAMPLES)
def test_a_larger_body_is_not_many_times_the_work(surface: Surface, kind: str) -> None:
    small, large = (NASTY[kind](surface, size) for size in (SMALL_BYTES, SMALL_BYTES * GROWTH))
    ratio = 0.0
    for _ in range(TRIES):
        seconds, handled = _measured(surface, large)
        ratio = seconds / max(_measured(surface, small)[0], 1e-3)
        if ratio <= MOST_TIMES:
            # A message repeats a field's name, however long it is.
            if kind != "a long name":
                judge(surface, handled)
            return
    raise AssertionError(f"{GROWTH} times the body takes {ratio:.0f} times as long")


def _measured(surface: Surface, body: bytes) -> tuple[float, Handled]:
    """CPU time of this thread, because other processes of a busy machine do not count; without collections of garbage,
    which come when they like."""
    gc.disable()
    try:
        begun = time.thread_time()
        handled = handle(surface, body, destinations=SIX)
        return time.thread_time() - begun, handled
    finally:
        gc.enable()
