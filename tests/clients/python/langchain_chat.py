"""What both LangChain clients do, with the chat model of either."""

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from tests.clients.python.jobs import WORDS, Job, Scenario, run_tool

MakeChat = Callable[..., Any]


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


def _get_weather(city: str) -> str:
    """The weather in a city."""
    return run_tool("get_weather", {"city": city})


def _get_time(city: str) -> str:
    """The time in a city."""
    return run_tool("get_time", {"city": city})


get_weather: Any = tool("get_weather")(_get_weather)
get_time: Any = tool("get_time")(_get_time)
TOOLS: Mapping[str, Any] = {"get_weather": get_weather, "get_time": get_time}


def scenarios(chat_of: MakeChat, image_part: dict[str, Any], structured_method: str) -> dict[str, Scenario]:
    """`chat_of(job, **more)` makes the model; `image_part` and `structured_method` are what differs between the two."""

    def plain(job: Job) -> dict[str, Any]:
        return seen(chat_of(job).invoke(WORDS))

    def stream(job: Job) -> dict[str, Any]:
        whole: Any = None
        pieces = 0
        for piece in chat_of(job).stream(WORDS):
            whole = piece if whole is None else whole + piece
            pieces += 1
        return {**seen(whole), "pieces": pieces}

    def tools(job: Job) -> dict[str, Any]:
        chat = chat_of(job).bind_tools([get_weather, get_time])
        first = chat.invoke([HumanMessage(WORDS)])
        return tool_loop(first, chat.invoke([HumanMessage(WORDS), first, *results(first)]))

    def tools_stream(job: Job) -> dict[str, Any]:
        chat = chat_of(job).bind_tools([get_weather, get_time])

        def whole(turns: list[Any]) -> Any:
            pieces = list(chat.stream(turns))
            joined = pieces[0]
            for piece in pieces[1:]:
                joined = joined + piece
            return joined

        first = whole([HumanMessage(WORDS)])
        return tool_loop(first, whole([HumanMessage(WORDS), first, *results(first)]))

    def structured(job: Job) -> dict[str, Any]:
        trip = chat_of(job).with_structured_output(Trip, method=structured_method).invoke(WORDS)
        return {"parsed": trip.model_dump()}

    def structured_by_tool(job: Job) -> dict[str, Any]:
        trip = chat_of(job).with_structured_output(Trip, method="function_calling").invoke(WORDS)
        return {"parsed": trip.model_dump()}

    def image(job: Job) -> dict[str, Any]:
        return seen(chat_of(job).invoke([HumanMessage([{"type": "text", "text": WORDS}, image_part])]))

    def bad_key(job: Job) -> dict[str, Any]:
        return seen(chat_of(job, api_key="th_wrong").invoke(WORDS))

    def bad_request(job: Job) -> dict[str, Any]:
        return seen(chat_of(job, temperature=9).invoke(WORDS))

    return {
        "plain": plain,
        "usage": plain,
        "stream": stream,
        "usage_stream": stream,
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
    }


def seen(message: Any) -> dict[str, Any]:
    usage = message.usage_metadata
    return {
        "text": message.text if isinstance(message.text, str) else message.text(),
        "usage": {
            "input": usage["input_tokens"],
            "output": usage["output_tokens"],
            "total": usage["total_tokens"],
            "cached": usage.get("input_token_details", {}).get("cache_read"),
            "reasoning": usage.get("output_token_details", {}).get("reasoning"),
        },
    }


def results(message: Any) -> list[Any]:
    return [
        ToolMessage(content=TOOLS[call["name"]].invoke(call["args"]), tool_call_id=call["id"])
        for call in message.tool_calls
    ]


def tool_loop(first: Any, final: Any) -> dict[str, Any]:
    return {"calls": [[call["name"], call["args"]] for call in first.tool_calls], "text": seen(final)["text"]}
