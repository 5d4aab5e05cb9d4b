"""The openai SDK on the Responses API."""

import json
from typing import Any

from tests.clients.python.jobs import CITY_SCHEMA, PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, Job, main, run_tool
from tests.clients.python.openai_chat import Trip, client_of

TOOLS: list[Any] = [
    {"type": "function", "name": name, "description": text, "parameters": CITY_SCHEMA, "strict": True}
    for name, text in TOOL_DESCRIPTIONS.items()
]


def plain(job: Job) -> dict[str, Any]:
    answer = client_of(job).responses.create(model=job.model, input=WORDS, instructions="Be brief.", store=False)
    return _seen(answer)


def _seen(answer: Any) -> dict[str, Any]:
    usage = answer.usage
    return {
        "text": answer.output_text,
        "finish": answer.status,
        "served": answer.model,
        "items": [item.type for item in answer.output],
        "usage": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "total": usage.total_tokens,
            "cached": usage.input_tokens_details.cached_tokens,
            "reasoning": usage.output_tokens_details.reasoning_tokens,
        },
    }


def stream(job: Job) -> dict[str, Any]:
    events = list(client_of(job).responses.create(model=job.model, input=WORDS, stream=True, store=False))
    last: Any = events[-1]
    return {
        **_seen(last.response),
        "kinds": [event.type for event in events],
        "numbers": [event.sequence_number for event in events],
        "deltas": "".join(event.delta for event in events if event.type == "response.output_text.delta"),
    }


def stream_helper(job: Job) -> dict[str, Any]:
    """The SDK's own accumulator, which raises on an event that it cannot place."""
    with client_of(job).responses.stream(model=job.model, input=WORDS, store=False) as events:
        for _ in events:
            pass
        return _seen(events.get_final_response())


def tools(job: Job) -> dict[str, Any]:
    responses = client_of(job).responses
    turns: list[Any] = [{"role": "user", "content": WORDS}]
    first = responses.create(model=job.model, input=turns, tools=TOOLS, store=False)
    calls: list[Any] = [item for item in first.output if item.type == "function_call"]
    turns += [item.model_dump(exclude_none=True) for item in first.output]
    turns += _results(calls)
    final = responses.create(model=job.model, input=turns, tools=TOOLS, store=False)
    return _tool_loop(first.status, calls, final.output_text)


def signed_tools(job: Job) -> dict[str, Any]:
    responses = client_of(job).responses
    turns: list[Any] = [{"role": "user", "content": WORDS}]
    first = responses.create(model=job.model, input=turns, tools=TOOLS[:1], tool_choice="required", store=False)
    calls: list[Any] = [item for item in first.output if item.type == "function_call"]
    turns += [item.model_dump(exclude_none=True) for item in first.output]
    turns += _results(calls)
    final = responses.create(model=job.model, input=turns, tools=TOOLS[:1], store=False)
    return _tool_loop(first.status, calls, final.output_text)


def tools_stream(job: Job) -> dict[str, Any]:
    responses = client_of(job).responses
    turns: list[Any] = [{"role": "user", "content": WORDS}]
    with responses.stream(model=job.model, input=turns, tools=TOOLS, store=False) as events:
        kinds = [event.type for event in events]
        first: Any = events.get_final_response()
    calls = [item for item in first.output if item.type == "function_call"]
    turns += [{"type": "function_call", "call_id": c.call_id, "name": c.name, "arguments": c.arguments} for c in calls]
    turns += _results(calls)
    with responses.stream(model=job.model, input=turns, tools=TOOLS, store=False) as events:
        final = events.get_final_response()
    done = kinds.count("response.function_call_arguments.done")
    return {**_tool_loop(first.status, calls, final.output_text), "arguments_done": done}


def _results(calls: list[Any]) -> list[Any]:
    return [
        {
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": run_tool(call.name, json.loads(call.arguments)),
        }
        for call in calls
    ]


def _tool_loop(finish: str | None, calls: list[Any], text: str) -> dict[str, Any]:
    return {"finish": finish, "calls": [[call.name, json.loads(call.arguments)] for call in calls], "text": text}


def structured(job: Job) -> dict[str, Any]:
    answer = client_of(job).responses.parse(model=job.model, input=WORDS, text_format=Trip, store=False)
    return {"parsed": None if answer.output_parsed is None else answer.output_parsed.model_dump()}


def image(job: Job) -> dict[str, Any]:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG_BASE64}", "detail": "auto"}
    content = [{"type": "input_text", "text": WORDS}, picture]
    turns: list[Any] = [{"role": "user", "content": content}]
    return _seen(client_of(job).responses.create(model=job.model, input=turns, store=False))


def reasoning(job: Job) -> dict[str, Any]:
    answer = client_of(job).responses.create(
        model=job.model,
        input=WORDS,
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=4000,
        store=False,
    )
    return _seen(answer)


def bad_key(job: Job) -> dict[str, Any]:
    return _seen(client_of(job, key="th_wrong").responses.create(model=job.model, input=WORDS))


def bad_request(job: Job) -> dict[str, Any]:
    return _seen(client_of(job).responses.create(model=job.model, input=WORDS, temperature=9))


def previous_response(job: Job) -> dict[str, Any]:
    return _seen(client_of(job).responses.create(model=job.model, input=WORDS, previous_response_id="resp_1"))


def other_path(job: Job) -> dict[str, Any]:
    return _seen(client_of(job, path="/v1/openai").responses.create(model=job.model, input=WORDS, store=False))


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
            "reasoning": reasoning,
            "bad_key": bad_key,
            "unknown_model": plain,
            "bad_request": bad_request,
            "previous_response": previous_response,
            "rate_limited": plain,
            "broken_stream": stream,
        }
    )
