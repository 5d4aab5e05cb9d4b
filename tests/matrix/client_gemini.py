"""A client of Gemini's generateContent: asks, and reads what comes by the rules of the API's documentation.

Source: Gemini API reference, "Generating content" (GenerateContentResponse, UsageMetadata), "Function calling",
"Thought signatures".
"""

import json

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
    Heard,
    Json,
    Said,
    Scenario,
    gateway_fields,
)


class GeminiClient:
    name: Surface = "gemini.generate"
    path_model: str | None = MODEL

    def request(self, scenario: Scenario, *, streaming: bool, before: Heard | None = None) -> Json:
        parts: list[Json] = [{"text": QUESTION}]
        if scenario == "image":
            parts.append({"inlineData": {"mimeType": "image/png", "data": PNG}})
        contents: list[Json] = [{"role": "user", "parts": parts}]
        config: Json = {"maxOutputTokens": MAX_TOKENS}
        body: Json = {"contents": contents, "systemInstruction": {"parts": [{"text": SYSTEM}]}}
        body["generationConfig"] = config
        if scenario in ASKS_TO_THINK:
            config["thinkingConfig"] = {"thinkingBudget": 2048, "includeThoughts": True}
        if scenario in ("tool_calls", "tool_results"):
            declared = {"name": TOOL, "description": TOOL_DESCRIPTION, "parametersJsonSchema": TOOL_PARAMETERS}
            body["tools"] = [{"functionDeclarations": [declared]}]
        if scenario == "tool_results":
            assert before is not None
            contents.append({"role": "model", "parts": before.replay})
            answers = [
                {"functionResponse": {"id": call.call_id, "name": call.name, "response": {"output": result}}}
                for call, result in zip(before.said.calls, RESULTS, strict=True)
            ]
            contents.append({"role": "user", "parts": answers})
        if scenario == "structured_output":
            config |= {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
        return body | gateway_fields(streaming=streaming)

    def read_plain(self, body: bytes) -> Heard:
        return _heard([json.loads(body)])

    def read_stream(self, data: bytes) -> Heard:
        return _heard(_chunks(data))

    def is_ended(self, data: bytes) -> bool:
        return any("finishReason" in candidate for chunk in _chunks(data) for candidate in chunk["candidates"])

    def read_error(self, body: bytes) -> str:
        error = json.loads(body)["error"]
        assert error.keys() == {"code", "message", "status", "details"}
        message: str = error["message"]
        return message

    def read_error_event(self, event: bytes) -> str:
        assert event.startswith(b'data: {"error"')
        assert event.endswith(b"\n\n")
        return self.read_error(event[6:])


def _chunks(data: bytes) -> list[Json]:
    blocks = data.decode().replace("\r\n", "\n").split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    return [json.loads(block[6:]) for block in blocks]


def _heard(chunks: list[Json]) -> Heard:
    parts: list[Json] = []
    reason: str | None = None
    for chunk in chunks:
        (candidate,) = chunk["candidates"]
        assert reason is None, "nothing comes after the reason"
        assert candidate["content"]["role"] == "model"
        parts += candidate["content"]["parts"]
        reason = candidate.get("finishReason")
    assert reason in ("STOP", "MAX_TOKENS")
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    texts = [part for part in parts if "text" in part]
    said = Said(
        text="".join(part["text"] for part in texts if not part.get("thought")),
        thoughts="".join(part["text"] for part in texts if part.get("thought")),
        calls=tuple(Call(call.get("id"), call["name"], call["args"]) for call in calls),
        finish="length" if reason == "MAX_TOKENS" else "tool_calls" if calls else "stop",
    )
    models = {chunk["modelVersion"] for chunk in chunks}
    assert len(models) == 1
    replay = [part for part in parts if part != {"text": ""}]
    return Heard(said=said, figures=_figures(chunks[-1]["usageMetadata"]), model=models.pop(), replay=replay)


def _figures(usage: Json) -> Figures:
    """The prompt's count holds what was cached; the thoughts stand beside the candidates'."""
    brought = usage.get("toolUsePromptTokenCount", 0)
    thoughts = usage.get("thoughtsTokenCount", 0)
    output = usage.get("candidatesTokenCount", 0) + thoughts
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + brought + output
    return Figures(
        input=usage["promptTokenCount"] + brought,
        output=output,
        cached=usage.get("cachedContentTokenCount", 0),
        written=None,
        written_1h=None,
        reasoning=thoughts,
    )
