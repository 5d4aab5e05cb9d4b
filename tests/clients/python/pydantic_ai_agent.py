"""pydantic-ai: an agent over its OpenAI, Anthropic and Google models."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput, ToolOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.python.jobs import PNG_BASE64, WORDS, Job, Scenario, main, run_tool


class Trip(BaseModel):
    city: str
    days: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return run_tool("get_weather", {"city": city})


def get_time(city: str) -> str:
    """The time in a city."""
    return run_tool("get_time", {"city": city})


def openai_chat(job: Job, key: str) -> Any:
    return OpenAIChatModel(job.model, provider=OpenAIProvider(openai_client=_openai_client(job, key)))


def openai_responses(job: Job, key: str) -> Any:
    return OpenAIResponsesModel(job.model, provider=OpenAIProvider(openai_client=_openai_client(job, key)))


def _openai_client(job: Job, key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=job.gateway.url + "/v1",
        api_key=key,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [job.recorder.later]}),
    )


def anthropic_messages(job: Job, key: str) -> Any:
    client = anthropic.AsyncAnthropic(
        base_url=job.gateway.url,
        api_key=key,
        max_retries=0,
        http_client=anthropic.DefaultAsyncHttpxClient(event_hooks={"response": [job.recorder.later]}),
    )
    return AnthropicModel(job.model, provider=AnthropicProvider(anthropic_client=client))


def google_generate(job: Job, key: str) -> Any:
    options = types.HttpOptions(
        base_url=job.gateway.url,
        api_version="v1beta",
        async_client_args={"event_hooks": {"response": [job.recorder.later]}},
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    client = genai.Client(api_key=key, http_options=options)
    return GoogleModel(job.model, provider=GoogleProvider(client=client))


APIS: dict[str, Callable[[Job, str], Any]] = {
    "openai": openai_chat,
    "responses": openai_responses,
    "anthropic": anthropic_messages,
    "google": google_generate,
}


def scenarios() -> dict[str, Scenario]:
    """`plain.openai`, `plain.anthropic`, ...: every scenario over every API."""
    every = {
        "plain": plain,
        "stream": stream,
        "tools": tools,
        "tools_stream": tools_stream,
        "structured": structured,
        "structured_by_tool": structured_by_tool,
        "image": image,
        "bad_key": bad_key,
        "unknown_model": plain,
        "bad_request": bad_request,
        "rate_limited": plain,
        "broken_stream": stream,
        "usage": plain,
        "usage_stream": stream,
    }
    return {
        f"{name}.{api}": _in_loop(scenario, model_of)
        for name, scenario in every.items()
        for api, model_of in APIS.items()
    }


def _in_loop(
    scenario: Callable[[Job, Callable[[Job, str], Any]], Coroutine[Any, Any, dict[str, Any]]],
    model_of: Callable[[Job, str], Any],
) -> Scenario:
    return lambda job: asyncio.run(scenario(job, model_of))


async def plain(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    return _seen(await Agent(model_of(job, job.gateway.key)).run(WORDS))


def _seen(run: Any) -> dict[str, Any]:
    return {"text": run.output if isinstance(run.output, str) else None, "usage": _usage(run.usage)}


def _usage(usage: Any) -> dict[str, int]:
    return {"input": usage.input_tokens, "output": usage.output_tokens, "cached": usage.cache_read_tokens}


async def stream(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    async with Agent(model_of(job, job.gateway.key)).run_stream(WORDS) as run:
        text = "".join([piece async for piece in run.stream_text(delta=True)])
        return {"text": text, "usage": _usage(run.usage)}


async def tools(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    run = await Agent(model_of(job, job.gateway.key), tools=[get_weather, get_time]).run(WORDS)
    return {"calls": _calls(run.all_messages()), "text": run.output}


async def tools_stream(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    agent = Agent(model_of(job, job.gateway.key), tools=[get_weather, get_time])
    async with agent.run_stream(WORDS) as run:
        text = await run.get_output()
        return {"calls": _calls(run.all_messages()), "text": text}


def _calls(messages: Any) -> list[Any]:
    return [
        [part.tool_name, part.args_as_dict()]
        for message in messages
        for part in message.parts
        if part.part_kind == "tool-call"
    ]


async def structured(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    run = await Agent(model_of(job, job.gateway.key), output_type=NativeOutput(Trip)).run(WORDS)
    return {"parsed": run.output.model_dump()}


async def structured_by_tool(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    run = await Agent(model_of(job, job.gateway.key), output_type=ToolOutput(Trip)).run(WORDS)
    return {"parsed": run.output.model_dump()}


async def image(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    picture = BinaryContent(base64.b64decode(PNG_BASE64), media_type="image/png")
    return _seen(await Agent(model_of(job, job.gateway.key)).run([WORDS, picture]))


async def bad_key(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    return _seen(await Agent(model_of(job, "th_wrong")).run(WORDS))


async def bad_request(job: Job, model_of: Callable[[Job, str], Any]) -> dict[str, Any]:
    return _seen(await Agent(model_of(job, job.gateway.key)).run(WORDS, model_settings={"temperature": 9}))


if __name__ == "__main__":
    main(scenarios())
