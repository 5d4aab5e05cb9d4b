"""Amazon Bedrock's Converse and ConverseStream as the vendor sends and takes them, for Claude.

Source: Bedrock API reference, "Converse", "ConverseStream", "TokenUsage", "CacheDetail"; AWS restJson1 (errors).
"""

import json
from urllib.parse import quote

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
from tests.matrix.sse_events import dumps
from tests.matrix.story import story
from tests.router_worker.event_stream_frames import event, exception

# Bedrock counts the thoughts as output, and does not tell them apart.
FIGURES = Figures(input=1340, cached=640, written=300, written_1h=200, output=330)
_USAGE: Json = {
    "inputTokens": 400,
    "outputTokens": 330,
    "totalTokens": 1670,
    "cacheReadInputTokens": 640,
    "cacheWriteInputTokens": 300,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 100}],
}
_IDS = ("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "tooluse_2bQv1pXqTk6uYb0c9rYw3A")
_REASONS: dict[Finish, str] = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
_SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds=="

_ERRORS = {
    "error_429": VendorError(
        status=429,
        headers={"x-amzn-requestid": "r-1", "x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/"},
        body=b'{"message":"Too many tokens, please wait before trying again."}',
        kind="vendor_rate_limited",
        advance=True,
    ),
    "error_400": VendorError(
        status=400,
        headers={"x-amzn-requestid": "r-2", "x-amzn-errortype": "ValidationException"},
        body=b'{"message":"The model returned the following errors: Input is too long for requested model."}',
        kind="vendor_refused_request",
        advance=False,
    ),
}


class BedrockWire:
    name = "bedrock"
    row = BUILT_IN["bedrock"]
    vendor_model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    signs = True
    errors = _ERRORS
    stream_error = exception("modelStreamErrorException", "The model failed while it streamed.")

    def answer(self, scenario: Scenario, request: Json) -> VendorAnswer:
        told = story(scenario, thinks=True)
        blocks: list[tuple[Json, Json | None, list[Json]]] = []  # whole, start, deltas
        if told.thought is not None:
            thought = {"text": told.thought.text, "signature": _SIGNATURE}
            deltas: list[Json] = [{"reasoningContent": {"text": piece}} for piece in told.thought.pieces]
            deltas.append({"reasoningContent": {"signature": _SIGNATURE}})
            blocks.append(({"reasoningContent": {"reasoningText": thought}}, None, deltas))
        by_tool = scenario == "structured_output" and "toolConfig" in request
        if told.text is not None and by_tool:
            tool = {"toolUseId": _IDS[0], "name": request["toolConfig"]["tools"][0]["toolSpec"]["name"]}
            pieces = [{"toolUse": {"input": piece}} for piece in told.text.pieces]
            whole = {"toolUse": tool | {"input": json.loads(told.text.text)}}
            blocks.append((whole, {"toolUse": tool}, pieces))
        elif told.text is not None:
            blocks.append(({"text": told.text.text}, None, [{"text": piece} for piece in told.text.pieces]))
        for call_id, use in zip(_IDS, told.uses, strict=False):
            tool = {"toolUseId": call_id, "name": use.name}
            pieces = [{"toolUse": {"input": piece}} for piece in use.pieces]
            blocks.append(({"toolUse": tool | {"input": use.arguments}}, {"toolUse": tool}, pieces))
        reason = "tool_use" if by_tool else _REASONS[told.finish]
        named: list[tuple[str, Json]] = [("messageStart", {"role": "assistant"})]
        for index, (_, start, deltas) in enumerate(blocks):
            if start is not None:
                named.append(("contentBlockStart", {"start": start, "contentBlockIndex": index}))
            named += [("contentBlockDelta", {"delta": delta, "contentBlockIndex": index}) for delta in deltas]
            named.append(("contentBlockStop", {"contentBlockIndex": index}))
        named.append(("messageStop", {"stopReason": reason}))
        named.append(("metadata", {"usage": _USAGE, "metrics": {"latencyMs": 1275}}))
        body = {
            "output": {"message": {"role": "assistant", "content": [block[0] for block in blocks]}},
            "stopReason": reason,
            "usage": _USAGE,
            "metrics": {"latencyMs": 1275},
        }
        return VendorAnswer(
            said=told.said(_IDS[: len(told.uses)]),
            figures=FIGURES,
            body=dumps(body).encode(),
            # `p` is the padding that Bedrock adds against guesses by length.
            events=tuple(event(name, payload | {"p": "abcdefgh"[: len(name) % 8]}) for name, payload in named),
            shown=tuple(f"{name} {dumps(payload)}" for name, payload in named),
            # Only the figures come after the reason.
            whole_after=len(named) - 1,
        )

    def read_request(self, url_path: str, request: Json) -> Asked:
        model = f"/model/{quote(self.vendor_model, safe='')}"
        assert url_path in (f"{model}/converse", f"{model}/converse-stream")
        text, replayed = "", ""
        images: list[tuple[str, str]] = []
        calls: list[Call] = []
        results: list[Result] = []
        signed = False
        for message in request["messages"]:
            for block in message["content"]:
                (kind,) = block
                value = block[kind]
                match kind:
                    case "text" if message["role"] == "user":
                        text += value
                    case "reasoningContent":
                        thought = {"text": THOUGHT, "signature": _SIGNATURE}
                        signed = signed or value["reasoningText"] == thought
                    case "text":
                        replayed += value
                    case "image":
                        images.append((f"image/{value['format']}", value["source"]["bytes"]))
                    case "toolUse":
                        calls.append(Call(value["toolUseId"], value["name"], value["input"]))
                    case "toolResult":
                        words = "".join(part["text"] for part in value["content"])
                        results.append(Result(value["toolUseId"], words))
        tools = [tool["toolSpec"] for tool in request.get("toolConfig", {}).get("tools", ())]
        shape = request.get("outputConfig", {}).get("textFormat")
        schema = None if shape is None else json.loads(shape["structure"]["jsonSchema"]["schema"])
        if request.get("toolConfig", {}).get("toolChoice") == {"any": {}}:
            (by_tool,) = tools
            tools, schema = [], by_tool["inputSchema"]["json"]
        return Asked(
            system="".join(block.get("text", "") for block in request.get("system", ())),
            text=text,
            replayed=replayed,
            images=tuple(images),
            tools=tuple(tool["name"] for tool in tools),
            schema=schema,
            calls=tuple(calls),
            results=tuple(results),
            signed=signed,
        )
