"""litellm as a client: its `openai/` and `anthropic/` routes led to the gateway."""

import json
import os
from collections.abc import Callable
from typing import Any

# Before the import, which would fetch a price list from the Internet otherwise.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from pydantic import BaseModel

from tests.clients.python.jobs import CITY_SCHEMA, PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, Job, Scenario, main, run_tool

HELLO: list[Any] = [{"role": "user", "content": WORDS}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "description": text, "parameters": CITY_SCHEMA}}
    for name, text in TOOL_DESCRIPTIONS.items()
]


class Trip(BaseModel):
    city: str
    days: int


def scenarios() -> dict[str, Scenario]:
    every = {
        "plain": plain,
        "usage": plain,
        "stream": stream,
        "usage_stream": stream,
        "tools": tools,
        "tools_stream": tools_stream,
        "structured": structured,
        "image": image,
        "bad_key": bad_key,
        "unknown_model": plain,
        "bad_request": bad_request,
        "rate_limited": plain,
        "broken_stream": stream,
    }
    found: dict[str, Scenario] = {}
    for api in ("openai", "anthropic"):
        found |= {f"{name}.{api}": _over(api, scenario) for name, scenario in every.items()}
    return {**found, "embeddings": embeddings}


def _over(api: str, scenario: Callable[[Job, str], dict[str, Any]]) -> Scenario:
    return lambda job: scenario(job, api)


def ask(job: Job, api: str, messages: list[Any], *, key: str | None = None, **more: Any) -> Any:
    return litellm.completion(
        model=f"{api}/{job.model}",
        messages=messages,
        api_base=job.gateway.url + ("/v1" if api == "openai" else ""),
        api_key=key or job.gateway.key,
        max_tokens=1000,
        num_retries=0,
        max_retries=0,
        timeout=30,
        **more,
    )


def plain(job: Job, api: str) -> dict[str, Any]:
    answer = ask(job, api, HELLO)
    # litellm puts this before the name of each header that it does not know.
    named = answer._hidden_params.get("additional_headers", {})
    job.recorder.note({name.removeprefix("llm_provider-"): value for name, value in named.items()})
    return _seen(answer)


def _seen(answer: Any) -> dict[str, Any]:
    choice = answer.choices[0]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": _usage(answer.usage)}


def _usage(usage: Any) -> dict[str, Any]:
    inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "input": usage.prompt_tokens,
        "output": usage.completion_tokens,
        "total": usage.total_tokens,
        "cached": None if inputs is None else inputs.cached_tokens,
        "reasoning": None if outputs is None else outputs.reasoning_tokens,
    }


def stream(job: Job, api: str) -> dict[str, Any]:
    chunks = list(ask(job, api, HELLO, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    figures = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None) is not None]
    return {"text": text, "usage": _usage(figures[-1])}


def tools(job: Job, api: str) -> dict[str, Any]:
    first = ask(job, api, HELLO, tools=TOOLS).choices[0].message
    final = ask(job, api, [*HELLO, _turn(first), *_results(first)], tools=TOOLS)
    return _tool_loop(first, final.choices[0].message.content)


def tools_stream(job: Job, api: str) -> dict[str, Any]:
    def whole(messages: list[Any]) -> Any:
        whole_answer: Any = litellm.stream_chunk_builder(list(ask(job, api, messages, tools=TOOLS, stream=True)))
        return whole_answer.choices[0].message

    first = whole(HELLO)
    final = whole([*HELLO, _turn(first), *_results(first)])
    return _tool_loop(first, final.content)


def _turn(message: Any) -> dict[str, Any]:
    """Only what OpenAI documents: litellm's own message brings `provider_specific_fields`, which OpenAI refuses too."""
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in message.tool_calls or []
    ]
    return {"role": "assistant", "content": message.content, "tool_calls": calls}


def _results(message: Any) -> list[Any]:
    return [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": run_tool(call.function.name, json.loads(call.function.arguments)),
        }
        for call in message.tool_calls or []
    ]


def _tool_loop(first: Any, text: str | None) -> dict[str, Any]:
    calls = [[call.function.name, json.loads(call.function.arguments)] for call in first.tool_calls or []]
    return {"calls": calls, "text": text}


def structured(job: Job, api: str) -> dict[str, Any]:
    answer = ask(job, api, HELLO, response_format=Trip)
    return {"parsed": Trip.model_validate_json(answer.choices[0].message.content).model_dump()}


def image(job: Job, api: str) -> dict[str, Any]:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}}
    return _seen(ask(job, api, [{"role": "user", "content": [{"type": "text", "text": WORDS}, picture]}]))


def bad_key(job: Job, api: str) -> dict[str, Any]:
    return _seen(ask(job, api, HELLO, key="th_wrong"))


def bad_request(job: Job, api: str) -> dict[str, Any]:
    return _seen(ask(job, api, HELLO, temperature=9))


def embeddings(job: Job) -> dict[str, Any]:
    answer: Any = litellm.embedding(
        model=f"openai/{job.model}",
        input=[WORDS, "something else"],
        api_base=job.gateway.url + "/v1",
        api_key=job.gateway.key,
        encoding_format="float",
    )
    return {"lengths": [len(entry["embedding"]) for entry in answer.data], "input": answer.usage.prompt_tokens}


if __name__ == "__main__":
    # Or it prints advice among the results whenever a call fails.
    litellm.suppress_debug_info = True
    main(scenarios())
