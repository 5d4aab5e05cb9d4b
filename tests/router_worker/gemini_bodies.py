"""Bodies of generateContent as clients write them, for the tests of their reading."""

import base64
import json
from typing import Any

from router_worker.canonical.request import ChatRequest
from router_worker.surfaces.gemini.generate import GeminiGenerate
from router_worker.surfaces.surface import Reading
from schemas.failures import Failure, FailureKind

SURFACE = GeminiGenerate()
USER = {"role": "user", "parts": [{"text": "hi"}]}
PNG = base64.b64encode(b"\x89PNG\xfb\xff").decode()


def reading(body: Any, *, streaming: bool = False) -> Reading:
    # Not orjson, which knows no number beyond 64 bits.
    found = SURFACE.read(json.dumps(body).encode(), streaming=streaming)
    assert isinstance(found, Reading), found
    return found


def canonical(*contents: dict[str, Any], **fields: Any) -> ChatRequest:
    found = reading({"contents": list(contents) or [USER], **fields}).canonical()
    assert isinstance(found, ChatRequest), found
    return found


def refusal(*contents: Any, **fields: Any) -> Failure:
    found = reading({"contents": list(contents) or [USER], **fields}).canonical()
    assert isinstance(found, Failure), found
    assert found.kind is FailureKind.INVALID_REQUEST
    return found


def config(**fields: Any) -> ChatRequest:
    return canonical(generationConfig=fields)
