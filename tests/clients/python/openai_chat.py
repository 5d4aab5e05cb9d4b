"""The openai SDK on Chat Completions, Embeddings and Models, unmodified but for base_url and api_key."""

import json
from typing import Any

import openai
from pydantic import BaseModel

from tests.clients.python.jobs import CITY_SCHEMA, PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, Job, main, run_tool

HELLO: list[Any] = [{"role": "user", "content": WORDS}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "description": text, "parameters": CITY_SCHEMA}}
    for name, text in TOOL_DESCRIPTIONS.items()
]


class Trip(BaseModel):
    city: str
    days: int


def client_of(job: Job, *, path: str = "/v1", key: str | None = None, max_retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=job.gateway.url + path,
        api_key=key or job.gateway.key,
        max_retries=max_retries,
        timeout=30,
        http_client=openai.DefaultHttpxClient(event_hooks={"response": [job.recorder]}),
    )


def plain(job: Job) -> dict[str, Any]:
    answer = client_of(job).chat.completions.create(model=job.model, messages=HELLO)
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "role": choice.message.role,
        "served": answer.model,
        "usage": usage_of(answer.usage),
    }


def usage_of(usage: Any) -> dict[str, int | None]:
    inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "input": usage.prompt_tokens,
        "output": usage.completion_tokens,
        "total": usage.total_tokens,
        "cached": None if inputs is None else inputs.cached_tokens,
        "reasoning": None if outputs is None else outputs.reasoning_tokens,
    }


def other_path(job: Job) -> dict[str, Any]:
    answer = client_of(job, path="/v1/openai").chat.completions.create(model=job.model, messages=HELLO)
    return {"text": answer.choices[0].message.content}


def stream(job: Job) -> dict[str, Any]:
    chunks = list(
        client_of(job).chat.completions.create(
            model=job.model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "finish": [choice.finish_reason for choice in choices if choice.finish_reason],
        "served": sorted({chunk.model for chunk in chunks}),
        "usage": usage_of(chunks[-1].usage),
        "figures": sum(chunk.usage is not None for chunk in chunks),
    }


def stream_helper(job: Job) -> dict[str, Any]:
    """The SDK's own accumulator, which raises on a chunk that it cannot place."""
    with client_of(job).chat.completions.stream(model=job.model, messages=HELLO) as events:
        kinds = [event.type for event in events]
        answer = events.get_final_completion()
    return {"text": answer.choices[0].message.content, "kinds": sorted(set(kinds))}


def tools(job: Job) -> dict[str, Any]:
    messages = list(HELLO)
    completions = client_of(job).chat.completions
    first = completions.create(model=job.model, messages=messages, tools=TOOLS)
    calls = first.choices[0].message.tool_calls or []
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages += _results(calls)
    final = completions.create(model=job.model, messages=messages, tools=TOOLS)
    return _tool_loop(first.choices[0].finish_reason, calls, final.choices[0].message.content)


def signed_tools(job: Job) -> dict[str, Any]:
    """Of a model that signs its calls: the signature comes and goes back in a field that the SDK does not know."""
    messages = list(HELLO)
    completions = client_of(job).chat.completions
    first = completions.create(model=job.model, messages=messages, tools=TOOLS[:1], tool_choice="required")
    calls = first.choices[0].message.tool_calls or []
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages += _results(calls)
    final = completions.create(model=job.model, messages=messages, tools=TOOLS[:1])
    looped = _tool_loop(first.choices[0].finish_reason, calls, final.choices[0].message.content)
    return {**looped, "signed": ["extra_content" in call.model_dump() for call in calls]}


def tools_stream(job: Job) -> dict[str, Any]:
    messages = list(HELLO)
    completions = client_of(job).chat.completions
    with completions.stream(model=job.model, messages=messages, tools=TOOLS) as events:
        first = events.get_final_completion()
    calls = first.choices[0].message.tool_calls or []
    messages.append({"role": "assistant", "tool_calls": [_plain_call(call) for call in calls]})
    messages += _results(calls)
    with completions.stream(model=job.model, messages=messages, tools=TOOLS) as events:
        final = events.get_final_completion()
    return _tool_loop(first.choices[0].finish_reason, calls, final.choices[0].message.content)


def _plain_call(call: Any) -> dict[str, Any]:
    """Without what the SDK's accumulator puts beside it for its caller."""
    function = {"name": call.function.name, "arguments": call.function.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _results(calls: Any) -> list[Any]:
    return [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": run_tool(call.function.name, json.loads(call.function.arguments)),
        }
        for call in calls
    ]


def _tool_loop(finish: str, calls: Any, text: str | None) -> dict[str, Any]:
    named = [[call.function.name, json.loads(call.function.arguments)] for call in calls]
    return {"finish": finish, "calls": named, "text": text}


def structured(job: Job) -> dict[str, Any]:
    answer = client_of(job).chat.completions.parse(model=job.model, messages=HELLO, response_format=Trip)
    trip = answer.choices[0].message.parsed
    return {"parsed": None if trip is None else trip.model_dump()}


def image(job: Job) -> dict[str, Any]:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}}
    content: Any = [{"type": "text", "text": WORDS}, picture]
    answer = client_of(job).chat.completions.create(model=job.model, messages=[{"role": "user", "content": content}])
    return {"text": answer.choices[0].message.content}


def sampling(job: Job) -> dict[str, Any]:
    """Everything that most formats can say, at once."""
    answer = client_of(job).chat.completions.create(
        model=job.model,
        messages=[{"role": "system", "content": "Be brief."}, *HELLO],
        temperature=0.5,
        top_p=0.9,
        stop=["world"],
        max_completion_tokens=100,
        metadata={"run": "e2e"},
        user="someone",
    )
    return {"text": answer.choices[0].message.content, "finish": answer.choices[0].finish_reason}


def capped(job: Job) -> dict[str, Any]:
    answer = client_of(job).chat.completions.create(model=job.model, messages=HELLO, max_tokens=2)
    return {"text": answer.choices[0].message.content, "finish": answer.choices[0].finish_reason}


def reasoning(job: Job) -> dict[str, Any]:
    answer = client_of(job).chat.completions.create(
        model=job.model, messages=HELLO, reasoning_effort="low", max_completion_tokens=4000
    )
    message: Any = answer.choices[0].message
    return {
        "text": message.content,
        "thoughts": getattr(message, "reasoning_content", None),
        "usage": usage_of(answer.usage),
    }


def bad_key(job: Job) -> dict[str, Any]:
    client_of(job, key="th_wrong").chat.completions.create(model=job.model, messages=HELLO)
    return {}


def bad_request(job: Job) -> dict[str, Any]:
    client_of(job).chat.completions.create(model=job.model, messages=HELLO, temperature=9)
    return {}


def retried(job: Job) -> dict[str, Any]:
    """Two answers of a vendor that refuses every second call: the SDK comes again after `Retry-After`."""
    client = client_of(job, max_retries=1)
    answers = [client.chat.completions.create(model=job.model, messages=HELLO) for _ in range(2)]
    return {"texts": [answer.choices[0].message.content for answer in answers]}


def extension(job: Job) -> dict[str, Any]:
    """The gateway's fields in the body, and what it says of them at the end of the answer."""
    answer: Any = client_of(job).chat.completions.create(
        model=job.model,
        messages=HELLO,
        extra_body={
            "models": ["sim-gemini-echo", "sim-bedrock-echo"],
            "vendors": ["sim-bedrock"],
            "tags": {"team": "search"},
            "customer": "acme",
            "include_routing_metadata": True,
        },
    )
    return {"text": answer.choices[0].message.content, "metadata": answer.routing_metadata}


def extension_headers(job: Job) -> dict[str, Any]:
    answer: Any = client_of(job).chat.completions.create(
        model=job.model,
        messages=HELLO,
        extra_headers={
            "X-Tollhouse-Models": "sim-gemini-echo, sim-cohere-echo",
            "X-Tollhouse-Vendors": "sim-cohere",
            "X-Tollhouse-Tags": "team=search,stage=test",
            "X-Tollhouse-Include-Routing-Metadata": "true",
        },
    )
    return {"text": answer.choices[0].message.content, "metadata": answer.routing_metadata}


def embeddings(job: Job) -> dict[str, Any]:
    """As the SDK asks for them by itself (base64, which it unpacks), and as numbers."""
    client = client_of(job).embeddings
    packed = client.create(model=job.model, input=[WORDS, "something else"])
    floats = client.create(model=job.model, input=[WORDS, "something else"], encoding_format="float")
    one = client.create(model=job.model, input=WORDS, dimensions=256)
    return {
        "lengths": [len(entry.embedding) for entry in packed.data],
        "indexes": [entry.index for entry in packed.data],
        "numbers": all(isinstance(number, float) for entry in packed.data for number in entry.embedding),
        "differ": max(
            abs(mine - other)
            for packed_entry, entry in zip(packed.data, floats.data, strict=True)
            for mine, other in zip(packed_entry.embedding, entry.embedding, strict=True)
        ),
        "short": len(one.data[0].embedding),
        "served": packed.model,
        "usage": {"input": packed.usage.prompt_tokens, "total": packed.usage.total_tokens},
    }


def models(job: Job) -> dict[str, Any]:
    client = client_of(job)
    other = client_of(job, path="/v1/openai")
    one: Any = client.models.retrieve(job.model)
    return {
        "listed": job.model in {model.id for model in client.models.list()},
        "listed_too": job.model in {model.id for model in other.models.list()},
        "owned_by": one.owned_by,
        "vendors": [route["vendor"] for route in one.routes],
    }


if __name__ == "__main__":
    main(
        {
            "plain": plain,
            "usage": plain,
            "other_path": other_path,
            "stream": stream,
            "usage_stream": stream,
            "stream_helper": stream_helper,
            "tools": tools,
            "signed_tools": signed_tools,
            "tools_stream": tools_stream,
            "structured": structured,
            "image": image,
            "sampling": sampling,
            "capped": capped,
            "reasoning": reasoning,
            "bad_key": bad_key,
            "unknown_model": plain,
            "bad_request": bad_request,
            "rate_limited": plain,
            "retried": retried,
            "broken_stream": stream,
            "extension": extension,
            "extension_headers": extension_headers,
            "embeddings": embeddings,
            "models": models,
        }
    )
