"""The google-genai SDK, unmodified but for its base URL and key."""

import base64
from typing import Any

from google import genai
from google.genai import types
from pydantic import BaseModel

from tests.clients.python.jobs import CITY_SCHEMA, PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, Job, main, run_tool

# Gemini's own schemas have no additionalProperties.
PARAMETERS = {name: value for name, value in CITY_SCHEMA.items() if name != "additionalProperties"}
TOOLS = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name=name, description=text, parameters_json_schema=PARAMETERS)
        for name, text in TOOL_DESCRIPTIONS.items()
    ]
)
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


class Trip(BaseModel):
    city: str
    days: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return run_tool("get_weather", {"city": city})


def get_time(city: str) -> str:
    """The time in a city."""
    return run_tool("get_time", {"city": city})


# A client that nobody holds closes its connections, even while one of its resources is in use.
_HELD: list[genai.Client] = []


def client_of(job: Job, *, key: str | None = None, extra_body: dict[str, Any] | None = None) -> genai.Client:
    options = types.HttpOptions(
        base_url=job.gateway.url,
        api_version="v1beta",
        timeout=30_000,
        client_args={"event_hooks": {"response": [job.recorder]}},
        retry_options=types.HttpRetryOptions(attempts=1),
        extra_body=extra_body,
    )
    client = genai.Client(api_key=key or job.gateway.key, http_options=options)
    _HELD.append(client)
    return client


def plain(job: Job) -> dict[str, Any]:
    return _seen(client_of(job).models.generate_content(model=job.model, contents=WORDS))


def _seen(answer: Any) -> dict[str, Any]:
    candidate = answer.candidates[0]
    return {
        "text": "".join(part.text or "" for part in candidate.content.parts or [] if not part.thought),
        "finish": None if candidate.finish_reason is None else candidate.finish_reason.value,
        "served": answer.model_version,
        "usage": _usage(answer.usage_metadata),
    }


def _usage(usage: Any) -> dict[str, int]:
    return {
        "input": usage.prompt_token_count,
        # This API's candidates do not contain the thoughts.
        "output": (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        "total": usage.total_token_count,
        "cached": usage.cached_content_token_count or 0,
        "reasoning": usage.thoughts_token_count or 0,
    }


def stream(job: Job) -> dict[str, Any]:
    chunks = list(client_of(job).models.generate_content_stream(model=job.model, contents=WORDS))
    return {
        "text": "".join(chunk.text or "" for chunk in chunks),
        "finish": [
            c.candidates[0].finish_reason.value for c in chunks if c.candidates and c.candidates[0].finish_reason
        ],
        "served": sorted({chunk.model_version for chunk in chunks}),
        "usage": _usage(chunks[-1].usage_metadata),
    }


def tools(job: Job) -> dict[str, Any]:
    client = client_of(job)
    config = types.GenerateContentConfig(tools=[TOOLS], automatic_function_calling=BY_HAND)
    turns: list[Any] = [types.Content(role="user", parts=[types.Part(text=WORDS)])]
    first: Any = client.models.generate_content(model=job.model, contents=turns, config=config)
    turns += [first.candidates[0].content, _results(first.function_calls)]
    final = client.models.generate_content(model=job.model, contents=turns, config=config)
    return _tool_loop(first.function_calls, final.text)


def signed_tools(job: Job) -> dict[str, Any]:
    """Of a model that signs its calls, and takes them back only signed."""
    client = client_of(job)
    must = types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    )
    turns: list[Any] = [types.Content(role="user", parts=[types.Part(text=WORDS)])]
    config = types.GenerateContentConfig(tools=[TOOLS], automatic_function_calling=BY_HAND, tool_config=must)
    first: Any = client.models.generate_content(model=job.model, contents=turns, config=config)
    turns += [first.candidates[0].content, _results(first.function_calls)]
    config = types.GenerateContentConfig(tools=[TOOLS], automatic_function_calling=BY_HAND)
    final = client.models.generate_content(model=job.model, contents=turns, config=config)
    return _tool_loop(first.function_calls, final.text)


def tools_stream(job: Job) -> dict[str, Any]:
    client = client_of(job)
    config = types.GenerateContentConfig(tools=[TOOLS], automatic_function_calling=BY_HAND)
    turns: list[Any] = [types.Content(role="user", parts=[types.Part(text=WORDS)])]
    chunks: list[Any] = list(client.models.generate_content_stream(model=job.model, contents=turns, config=config))
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or []) if part.function_call]
    calls = [part.function_call for part in parts]
    turns += [types.Content(role="model", parts=parts), _results(calls)]
    final = client.models.generate_content_stream(model=job.model, contents=turns, config=config)
    return _tool_loop(calls, "".join(chunk.text or "" for chunk in final))


def _results(calls: Any) -> Any:
    parts = []
    for call in calls:
        result = types.FunctionResponse(id=call.id, name=call.name, response={"result": run_tool(call.name, call.args)})
        parts.append(types.Part(function_response=result))
    return types.Content(role="user", parts=parts)


def _tool_loop(calls: Any, text: str | None) -> dict[str, Any]:
    return {"calls": [[call.name, call.args] for call in calls], "text": text}


def tools_by_sdk(job: Job) -> dict[str, Any]:
    """The SDK's own loop over Python functions."""
    config = types.GenerateContentConfig(tools=[get_weather, get_time])
    answer = client_of(job).models.generate_content(model=job.model, contents=WORDS, config=config)
    history = answer.automatic_function_calling_history or []
    calls = [part.function_call for content in history for part in content.parts or [] if part.function_call]
    return _tool_loop(calls, answer.text)


def structured(job: Job) -> dict[str, Any]:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Trip)
    answer = client_of(job).models.generate_content(model=job.model, contents=WORDS, config=config)
    return {"parsed": answer.parsed.model_dump() if isinstance(answer.parsed, Trip) else answer.text}


def image(job: Job) -> dict[str, Any]:
    picture = types.Part.from_bytes(data=base64.b64decode(PNG_BASE64), mime_type="image/png")
    contents: Any = [picture, types.Part(text=WORDS)]
    return _seen(client_of(job).models.generate_content(model=job.model, contents=contents))


def sampling(job: Job) -> dict[str, Any]:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", temperature=0.5, top_p=0.9, stop_sequences=["world"], max_output_tokens=100
    )
    return _seen(client_of(job).models.generate_content(model=job.model, contents=WORDS, config=config))


def reasoning(job: Job) -> dict[str, Any]:
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    config = types.GenerateContentConfig(thinking_config=thinking, max_output_tokens=4000)
    answer: Any = client_of(job).models.generate_content(model=job.model, contents=WORDS, config=config)
    thoughts = [part.text for part in answer.candidates[0].content.parts if part.thought]
    return {**_seen(answer), "thoughts": thoughts}


def bad_key(job: Job) -> dict[str, Any]:
    return _seen(client_of(job, key="th_wrong").models.generate_content(model=job.model, contents=WORDS))


def bad_request(job: Job) -> dict[str, Any]:
    config = types.GenerateContentConfig(temperature=9)
    return _seen(client_of(job).models.generate_content(model=job.model, contents=WORDS, config=config))


def extension(job: Job) -> dict[str, Any]:
    extra = {
        "models": ["sim-anthropic-echo", "sim-bedrock-echo"],
        "vendors": ["sim-bedrock"],
        "tags": {"team": "search"},
        "include_routing_metadata": True,
    }
    answer = client_of(job, extra_body=extra).models.generate_content(model=job.model, contents=WORDS)
    return {"text": answer.text}


if __name__ == "__main__":
    main(
        {
            "plain": plain,
            "usage": plain,
            "stream": stream,
            "usage_stream": stream,
            "tools": tools,
            "signed_tools": signed_tools,
            "tools_stream": tools_stream,
            "tools_by_sdk": tools_by_sdk,
            "structured": structured,
            "image": image,
            "sampling": sampling,
            "reasoning": reasoning,
            "bad_key": bad_key,
            "unknown_model": plain,
            "bad_request": bad_request,
            "rate_limited": plain,
            "broken_stream": stream,
            "extension": extension,
        }
    )
