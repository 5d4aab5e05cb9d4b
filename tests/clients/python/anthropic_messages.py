"""The anthropic SDK, unmodified but for base_url and api_key."""

from typing import Any

import anthropic
from pydantic import BaseModel

from tests.clients.python.jobs import CITY_SCHEMA, PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, Job, main, run_tool

HELLO: list[Any] = [{"role": "user", "content": WORDS}]
TOOLS: list[Any] = [
    {"name": name, "description": text, "input_schema": CITY_SCHEMA} for name, text in TOOL_DESCRIPTIONS.items()
]


class Trip(BaseModel):
    city: str
    days: int


def client_of(job: Job, *, path: str = "", key: str | None = None, max_retries: int = 0) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=job.gateway.url + path,
        api_key=key or job.gateway.key,
        max_retries=max_retries,
        timeout=30,
        http_client=anthropic.DefaultHttpxClient(event_hooks={"response": [job.recorder]}),
    )


def plain(job: Job) -> dict[str, Any]:
    return _seen(client_of(job).messages.create(model=job.model, max_tokens=100, messages=HELLO))


def _seen(answer: Any) -> dict[str, Any]:
    usage = answer.usage
    return {
        "text": "".join(block.text for block in answer.content if block.type == "text"),
        "finish": answer.stop_reason,
        "role": answer.role,
        "served": answer.model,
        "blocks": [block.type for block in answer.content],
        "usage": {
            # This API's input does not contain what was read from the cache, or written to it.
            "input": usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0),
            "output": usage.output_tokens,
            "cached": usage.cache_read_input_tokens,
            "written": usage.cache_creation_input_tokens,
        },
    }


def other_path(job: Job) -> dict[str, Any]:
    client = client_of(job, path="/v1/anthropic")
    return _seen(client.messages.create(model=job.model, max_tokens=100, messages=HELLO))


def bearer(job: Job) -> dict[str, Any]:
    """`auth_token` instead of `api_key`, as gateways are often used."""
    client = anthropic.Anthropic(base_url=job.gateway.url, auth_token=job.gateway.key, api_key=None, max_retries=0)
    return _seen(client.messages.create(model=job.model, max_tokens=100, messages=HELLO))


def stream(job: Job) -> dict[str, Any]:
    """The events as they come."""
    events: list[Any] = list(
        client_of(job).messages.create(model=job.model, max_tokens=100, messages=HELLO, stream=True)
    )
    return {
        "text": "".join(
            e.delta.text for e in events if e.type == "content_block_delta" and e.delta.type == "text_delta"
        ),
        "finish": [event.delta.stop_reason for event in events if event.type == "message_delta"],
        "kinds": [event.type for event in events],
        "served": events[0].message.model,
        "output": [event.usage.output_tokens for event in events if event.type == "message_delta"][-1],
    }


def stream_helper(job: Job) -> dict[str, Any]:
    """The SDK's own accumulator."""
    with client_of(job).messages.stream(model=job.model, max_tokens=100, messages=HELLO) as events:
        text = "".join(events.text_stream)
        return {**_seen(events.get_final_message()), "text_stream": text}


def tools(job: Job) -> dict[str, Any]:
    messages = list(HELLO)
    client = client_of(job).messages
    first = client.create(model=job.model, max_tokens=1000, messages=messages, tools=TOOLS)
    messages += _turns(first)
    final = client.create(model=job.model, max_tokens=1000, messages=messages, tools=TOOLS)
    return _tool_loop(first, final)


def signed_tools(job: Job) -> dict[str, Any]:
    client = client_of(job).messages
    one: Any = {"tools": TOOLS[:1], "max_tokens": 1000, "model": job.model}
    first = client.create(**one, messages=HELLO, tool_choice={"type": "any"})
    return _tool_loop(first, client.create(**one, messages=[*HELLO, *_turns(first)]))


def tools_stream(job: Job) -> dict[str, Any]:
    messages = list(HELLO)
    client = client_of(job).messages
    with client.stream(model=job.model, max_tokens=1000, messages=messages, tools=TOOLS) as events:
        first = events.get_final_message()
    messages += _turns(first)
    with client.stream(model=job.model, max_tokens=1000, messages=messages, tools=TOOLS) as events:
        final = events.get_final_message()
    return _tool_loop(first, final)


def _turns(answer: Any) -> list[Any]:
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": run_tool(block.name, block.input)}
        for block in answer.content
        if block.type == "tool_use"
    ]
    return [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]


def _tool_loop(first: Any, final: Any) -> dict[str, Any]:
    calls = [[block.name, block.input] for block in first.content if block.type == "tool_use"]
    return {"finish": first.stop_reason, "calls": calls, "text": _seen(final)["text"]}


def tools_by_sdk(job: Job) -> dict[str, Any]:
    """The SDK's own loop over functions. It asks the server to keep the conversation, and hears that nobody does."""
    called: list[Any] = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        called.append(["get_weather", {"city": city}])
        return run_tool("get_weather", {"city": city})

    @anthropic.beta_tool
    def get_time(city: str) -> str:
        """The time in a city."""
        called.append(["get_time", {"city": city}])
        return run_tool("get_time", {"city": city})

    runner = client_of(job).beta.messages.tool_runner(
        model=job.model, max_tokens=1000, messages=HELLO, tools=[get_weather, get_time]
    )
    text = _seen(runner.until_done())["text"]
    # It runs them side by side.
    return {"calls": sorted(called, key=lambda call: list(TOOL_DESCRIPTIONS).index(call[0])), "text": text}


def structured(job: Job) -> dict[str, Any]:
    answer = client_of(job).messages.parse(model=job.model, max_tokens=1000, messages=HELLO, output_format=Trip)
    trip = answer.parsed_output
    return {"parsed": None if trip is None else trip.model_dump()}


def image(job: Job) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": WORDS}]
    messages: list[Any] = [{"role": "user", "content": content}]
    return _seen(client_of(job).messages.create(model=job.model, max_tokens=100, messages=messages))


def reasoning(job: Job) -> dict[str, Any]:
    """A question, the thoughts on it, and the next question with those thoughts in the conversation."""
    client = client_of(job).messages
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    first = client.create(model=job.model, max_tokens=4000, messages=HELLO, thinking=thinking)
    turns: list[Any] = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": "and now"}]
    second = client.create(model=job.model, max_tokens=4000, messages=turns, thinking=thinking)
    thoughts = [block.thinking for block in first.content if block.type == "thinking"]
    return {**_seen(first), "thoughts": thoughts, "second": _seen(second)["text"]}


def reasoning_stream(job: Job) -> dict[str, Any]:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    with client_of(job).messages.stream(model=job.model, max_tokens=4000, messages=HELLO, thinking=thinking) as events:
        answer = events.get_final_message()
    thoughts = [block.thinking for block in answer.content if block.type == "thinking"]
    return {**_seen(answer), "thoughts": thoughts}


def cache(job: Job) -> dict[str, Any]:
    system: Any = [{"type": "text", "text": "Be very brief.", "cache_control": {"type": "ephemeral"}}]
    return _seen(client_of(job).messages.create(model=job.model, max_tokens=100, messages=HELLO, system=system))


def count_tokens(job: Job) -> dict[str, Any]:
    counted = client_of(job).messages.count_tokens(model=job.model, messages=HELLO)
    return {"input": counted.input_tokens}


def bad_key(job: Job) -> dict[str, Any]:
    return _seen(client_of(job, key="th_wrong").messages.create(model=job.model, max_tokens=100, messages=HELLO))


def bad_request(job: Job) -> dict[str, Any]:
    # The SDK has left the sampling parameters of older models behind, the API has not.
    extra = {"temperature": 9}
    return _seen(client_of(job).messages.create(model=job.model, max_tokens=100, messages=HELLO, extra_body=extra))


def retried(job: Job) -> dict[str, Any]:
    client = client_of(job, max_retries=1)
    answers = [client.messages.create(model=job.model, max_tokens=100, messages=HELLO) for _ in range(2)]
    return {"texts": [_seen(answer)["text"] for answer in answers]}


def extension(job: Job) -> dict[str, Any]:
    answer: Any = client_of(job).messages.create(
        model=job.model,
        max_tokens=100,
        messages=HELLO,
        extra_body={
            "models": ["sim-gemini-echo", "sim-bedrock-echo"],
            "vendors": ["sim-bedrock"],
            "tags": [{"key": "team", "value": "search"}],
            "include_routing_metadata": True,
        },
    )
    return {"text": _seen(answer)["text"], "metadata": answer.routing_metadata}


def models(job: Job) -> dict[str, Any]:
    client = client_of(job)
    other = client_of(job, path="/v1/anthropic")
    return {
        "listed": job.model in {model.id for model in client.models.list()},
        "listed_too": job.model in {model.id for model in other.models.list()},
        "one": client.models.retrieve(job.model).id,
    }


if __name__ == "__main__":
    main(
        {
            "plain": plain,
            "usage": plain,
            "other_path": other_path,
            "bearer": bearer,
            "stream": stream,
            "stream_helper": stream_helper,
            "usage_stream": stream_helper,
            "tools": tools,
            "tools_by_sdk": tools_by_sdk,
            "signed_tools": signed_tools,
            "tools_stream": tools_stream,
            "structured": structured,
            "image": image,
            "reasoning": reasoning,
            "reasoning_stream": reasoning_stream,
            "cache": cache,
            "count_tokens": count_tokens,
            "bad_key": bad_key,
            "unknown_model": plain,
            "bad_request": bad_request,
            "rate_limited": plain,
            "retried": retried,
            "broken_stream": stream_helper,
            "extension": extension,
            "models": models,
        }
    )
