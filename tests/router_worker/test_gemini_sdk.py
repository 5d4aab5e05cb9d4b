"""Google's own SDK as the judge: of the answers that it must read, and of the requests that it would send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web
from google import genai
from google.genai import errors, types

from ingress.surfaces.gemini_generate import GeminiGenerate as IngressSurface
from ingress.surfaces.surface import Call
from router_worker.canonical.answer import (
    Event,
    Finished,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    collect,
)
from router_worker.canonical.request import (
    AssistantMessage,
    ChatRequest,
    JsonFormat,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
)
from router_worker.surfaces.gemini.generate import GeminiGenerate
from router_worker.surfaces.surface import Reading
from schemas.failures import Failure, FailureKind
from schemas.usage import TokenCounts
from tests.router_worker.gemini_samples import call
from tests.router_worker.test_gemini_wire import HISTORY, PRO_3, SCHEMA, TOOL, body

# The SDK subclasses aiohttp's session, which aiohttp warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

INGRESS = IngressSurface()
SURFACE = GeminiGenerate()
THOUGHT = Thinking(text="let me see", signature="a+b/c=", made_by="anthropic")
EVENTS: tuple[Event, ...] = (
    Started(),
    ThinkingDelta(text="let me "),
    ThinkingDelta(text="see", signature=THOUGHT.signature, made_by="anthropic"),
    TextDelta(text="I "),
    TextDelta(text="call\u2028"),
    ToolCallStarted(index=0, call_id="toolu_1", name="weather"),
    ToolCallDelta(index=0, arguments='{"city":"Köln"}'),
    Finished(reason="tool_calls"),
)
TOKENS = TokenCounts(input=10, output=9, reasoning=5)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def client_of(handler: Handler) -> AsyncIterator[genai.Client]:
    app = web.Application()
    app.router.add_post("/{version}/models/{call}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{port}", timeout=10_000)
        client = genai.Client(api_key="th-key", http_options=options)
        yield client
        await client.aio.aclose()
    finally:
        await runner.cleanup()


def canonical(data: bytes) -> ChatRequest:
    assert isinstance(INGRESS.read_call(data, "m", streaming=False), Call)
    reading = SURFACE.read(data, streaming=False)
    assert isinstance(reading, Reading), reading
    found = reading.canonical()
    assert isinstance(found, ChatRequest), found
    return found


async def streamed(request: web.Request, pieces: Sequence[bytes]) -> web.StreamResponse:
    assert request.query["alt"] == "sse"
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    return response


async def test_a_tool_loop() -> None:
    requests: list[ChatRequest] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["x-goog-api-key"] == "th-key"
        requests.append(canonical(await request.read()))
        answer = (
            collect(EVENTS, TOKENS) if len(requests) == 1 else collect((TextDelta(text="4°"), Finished(reason="stop")))
        )
        return web.Response(body=SURFACE.write_answer(answer, call()), content_type="application/json")

    weather = types.FunctionDeclaration(
        name="weather",
        parameters=types.Schema(
            type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING, min_length=1)}
        ),
    )
    config = types.GenerateContentConfig(
        system_instruction="be brief",
        tools=[types.Tool(function_declarations=[weather])],
        max_output_tokens=50,
        top_k=40,
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=100),
    )
    async with client_of(handler) as client:
        history: list[Any] = [types.Content(role="user", parts=[types.Part(text="weather?")])]
        first = await client.aio.models.generate_content(model="m", contents=history, config=config)
        assert first.function_calls is not None
        assert [(made.name, made.args, made.id) for made in first.function_calls] == [
            ("weather", {"city": "Köln"}, "toolu_1")
        ]
        usage = first.usage_metadata
        assert usage is not None
        assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (10, 4, 5)
        assert first.candidates is not None
        # As the SDK's own automatic function calling does it: the result names the function, not the call.
        result = types.Part.from_function_response(name="weather", response={"result": "4"})
        history += [first.candidates[0].content, types.Content(role="user", parts=[result])]
        second = await client.aio.models.generate_content(model="m", contents=history, config=config)
        assert second.text == "4°"
    assert requests[0].system == (Text(text="be brief"),)
    assert (requests[0].max_output_tokens, requests[0].top_k) == (50, 40)
    assert requests[0].reasoning == Reasoning(budget_tokens=100, visible=True)
    assert requests[1].tools == requests[0].tools
    parameters = requests[0].tools[0].parameters
    assert parameters is not None
    assert orjson.loads(bytes(parameters)) == {
        "type": "object",
        "properties": {"city": {"type": "string", "minLength": 1}},
    }
    _, turn, answered = requests[1].messages
    assert isinstance(turn, AssistantMessage)
    thought, said, made_call = turn.parts
    # The signature has been through the SDK's base64, and is what it was.
    assert (thought, said) == (THOUGHT, Text(text="I call\u2028"))
    assert isinstance(made_call, ToolCall)
    assert (made_call.call_id, orjson.loads(made_call.arguments)) == ("toolu_1", {"city": "Köln"})
    assert isinstance(answered, UserMessage)
    assert [part.call_id for part in answered.parts if isinstance(part, ToolResult)] == ["toolu_1"]


@pytest.mark.parametrize("over", ["aiohttp", "httpx"])
async def test_a_stream_with_heartbeats(over: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        writer = SURFACE.open_writer(call(streaming=True))
        pieces = [INGRESS.heartbeat]
        for event in EVENTS:
            pieces += [writer.write([event]), INGRESS.heartbeat, INGRESS.heartbeat]
        pieces += [writer.finish(TOKENS), INGRESS.metadata_event(b'{"cost_usd":"0.1"}')]
        return await streamed(request, pieces)

    async with client_of(handler) as client:
        if over == "aiohttp":
            stream = await client.aio.models.generate_content_stream(model="m", contents="hi")
            chunks = [chunk async for chunk in stream]
        else:
            chunks = await asyncio.to_thread(
                lambda: list(client.models.generate_content_stream(model="m", contents="hi"))
            )
    assert "".join(chunk.text or "" for chunk in chunks) == "I call\u2028"
    assert [made.name for chunk in chunks for made in chunk.function_calls or ()] == ["weather"]
    # Whoever asks for the metadata gets a chunk more, without candidates.
    last, metadata = chunks[-2:]
    assert metadata.candidates is None
    assert last.candidates is not None
    assert last.candidates[0].finish_reason is types.FinishReason.STOP
    assert last.usage_metadata is not None
    assert (last.usage_metadata.total_token_count, last.model_version) == (19, "cat-gemini")


async def test_a_comment_as_a_heartbeat_would_break_the_sdk() -> None:
    """Why this surface's heartbeat differs from the others'. Should this fail, it need not any more."""

    async def handler(request: web.Request) -> web.StreamResponse:
        writer = SURFACE.open_writer(call(streaming=True))
        return await streamed(request, [b": keep-alive\n\n", writer.write(EVENTS), writer.finish(TOKENS)])

    async with client_of(handler) as client:
        stream = await client.aio.models.generate_content_stream(model="m", contents="hi")
        with pytest.raises(errors.UnknownApiResponseError):
            [chunk async for chunk in stream]


async def test_errors() -> None:
    failure = Failure(kind=FailureKind.INVALID_REQUEST, param="contents[0]", message="contents[0]: no")

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response(body=INGRESS.error_body(failure, "req_1"), status=400)

    async def break_off(request: web.Request) -> web.StreamResponse:
        writer = SURFACE.open_writer(call(streaming=True))
        event = INGRESS.error_event(Failure(kind=FailureKind.VENDOR_BROKE_OFF), "req_1")
        return await streamed(request, [writer.write([TextDelta(text="a")]), event])

    async with client_of(refuse) as client:
        with pytest.raises(errors.ClientError) as refused:
            await client.aio.models.generate_content(model="m", contents="hi")
    assert (refused.value.code, refused.value.status, refused.value.message) == (
        400,
        "INVALID_ARGUMENT",
        "contents[0]: no",
    )
    async with client_of(break_off) as client:
        stream = await client.aio.models.generate_content_stream(model="m", contents="hi")
        first = await anext(stream)
        with pytest.raises(errors.ServerError) as broken:
            await anext(stream)
    assert (first.text, broken.value.code, broken.value.status) == ("a", 502, "UNAVAILABLE")


@pytest.mark.parametrize("model", ["gemini-2.5-flash", PRO_3])
def test_our_requests_are_what_the_sdk_would_send(model: str) -> None:
    """Its types refuse fields that there are not."""
    sent = body(
        *HISTORY,
        model=model,
        system=(Text(text="s"),),
        tools=(TOOL,) if model == PRO_3 else (),
        response_format=JsonFormat(schema=SCHEMA),
        reasoning=Reasoning(effort="low", visible=True),
        max_output_tokens=2000,
        stop=("x",),
        top_k=3,
        seed=1,
    )
    for content in sent["contents"]:
        types.Content.model_validate(content)
    types.Content.model_validate(sent["systemInstruction"])
    types.GenerationConfig.model_validate(sent["generationConfig"])
    for tool in sent.get("tools", ()):
        types.Tool.model_validate(tool)
    known = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig"}
    assert sent.keys() <= known
