"""Gemini's generateContent as the vendor sends and takes it.

Source: Gemini API reference, "Generating content" (GenerateContentResponse, UsageMetadata), docs "Function calling",
"Thinking" (thought parts and signatures), "Troubleshooting" (errors, RetryInfo).
"""

from router_worker.vendors.table import BUILT_IN
from tests.matrix.meaning import Asked, Call, Figures, Finish, Json, Result, Scenario, VendorAnswer, VendorError
from tests.matrix.sse_events import data, dumps, shown
from tests.matrix.story import story

FIGURES = Figures(input=1200, cached=640, output=330, reasoning=192)
_USAGE: Json = {
    "promptTokenCount": 1200,
    "candidatesTokenCount": 138,
    "totalTokenCount": 1530,
    "cachedContentTokenCount": 640,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1200}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 640}],
    "thoughtsTokenCount": 192,
}
# While a stream goes on, each chunk tells the figures so far.
_USAGE_SO_FAR: Json = {"promptTokenCount": 1200, "candidatesTokenCount": 2, "totalTokenCount": 1202}
_IDS = ("8f2b1a3c", "9c4d5e6f")
# It has no word of its own for calls.
_REASONS: dict[Finish, str] = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
_SIGNATURE = "CiIBVKhc7vB6oDNYPsTdYfJpE2qJkyzk2pnsYNTkRYSGWA=="

_ERRORS = {
    "error_429": VendorError(
        status=429,
        body=dumps(
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan and billing details.",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [
                        {
                            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                            "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
                        },
                        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"},
                    ],
                }
            }
        ).encode(),
        kind="vendor_rate_limited",
        advance=True,
        retry_after_s=34.5,
    ),
    "error_400": VendorError(
        status=400,
        body=dumps(
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200000) exceeds the maximum number of tokens allowed.",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ).encode(),
        kind="vendor_refused_request",
        advance=False,
    ),
}


class GeminiWire:
    name = "gemini"
    row = BUILT_IN["gemini"]
    vendor_model = "gemini-2.5-flash"
    signs = True
    errors = _ERRORS
    stream_error = data(
        {"error": {"code": 503, "message": "The model is overloaded. Try again later.", "status": "UNAVAILABLE"}}
    )

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer:
        told = story(scenario, thinks=True)
        parts: list[Json] = []
        pieces: list[Json] = []
        if told.thought is not None:
            parts.append({"text": told.thought.text, "thought": True})
            pieces += [{"text": piece, "thought": True} for piece in told.thought.pieces]
        if told.text is not None:
            parts.append({"text": told.text.text})
            pieces += [{"text": piece} for piece in told.text.pieces]
        for number, (call_id, use) in enumerate(zip(_IDS, told.uses, strict=False)):
            call: Json = {"functionCall": {"id": call_id, "name": use.name, "args": use.arguments}}
            if number == 0:
                # Of calls made together only the first is signed.
                call["thoughtSignature"] = _SIGNATURE
            parts.append(call)
            pieces.append(call)
        chunks = [_response([piece]) | {"usageMetadata": _USAGE_SO_FAR} for piece in pieces[:-1]]
        chunks.append(_response(pieces[-1:], _REASONS[told.finish]) | {"usageMetadata": _USAGE})
        events = tuple(f"data: {dumps(chunk)}\r\n\r\n".encode() for chunk in chunks)
        return VendorAnswer(
            said=told.said(_IDS[: len(told.uses)]),
            figures=FIGURES,
            body=dumps(_response(parts, _REASONS[told.finish]) | {"usageMetadata": _USAGE}).encode(),
            events=events,
            shown=shown(events),
            whole_after=len(events),
        )

    def read_request(self, url_path: str, request: Json) -> Asked:
        streams = url_path == f"/models/{self.vendor_model}:streamGenerateContent?alt=sse"
        assert streams or url_path == f"/models/{self.vendor_model}:generateContent"
        text, replayed = "", ""
        images: list[tuple[str, str]] = []
        calls: list[Call] = []
        results: list[Result] = []
        signed = False
        for content in request["contents"]:
            for part in content["parts"]:
                if "text" in part and content["role"] == "user":
                    text += part["text"]
                elif "text" in part and not part.get("thought"):
                    replayed += part["text"]
                elif "inlineData" in part:
                    images.append((part["inlineData"]["mimeType"], part["inlineData"]["data"]))
                elif "functionCall" in part:
                    call = part["functionCall"]
                    calls.append(Call(call.get("id"), call["name"], call["args"]))
                    signed = signed or part.get("thoughtSignature") == _SIGNATURE
                elif "functionResponse" in part:
                    answer = part["functionResponse"]
                    assert answer["name"] == calls[len(results)].name
                    (words,) = answer["response"].values()
                    results.append(Result(answer.get("id"), words))
        config = request.get("generationConfig", {})
        instruction = request.get("systemInstruction", {"parts": []})
        return Asked(
            system="".join(part["text"] for part in instruction["parts"]),
            text=text,
            replayed=replayed,
            images=tuple(images),
            tools=tuple(each["name"] for tool in request.get("tools", ()) for each in tool["functionDeclarations"]),
            schema=config.get("responseJsonSchema", config.get("responseSchema")),
            calls=tuple(calls),
            results=tuple(results),
            signed=signed,
        )


def _response(parts: list[Json], finish: str | None = None) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "mAitaLmkHPPlz7IPvtfUqQ4"}
