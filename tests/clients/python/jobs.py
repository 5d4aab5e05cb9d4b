"""What the scripts of all Python clients share: jobs in on stdin, what each client saw out, one JSON line for each.

A script is run as a module from the repository's root, by the Python that has the SDKs. Importing an SDK takes longer
than all it is asked to do, so one process does all the jobs of its client.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

AT_ONCE = 4
WORDS = "hello there world"
# The smallest PNG there is: one pixel.
PNG_BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CITY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL_DESCRIPTIONS = {"get_weather": "The weather in a city.", "get_time": "The time in a city."}


class Gateway(NamedTuple):
    url: str
    key: str


class Recorder:
    """What the gateway's headers say of each answer, in order. For an SDK's own HTTP client, as its response hook."""

    def __init__(self) -> None:
        self.answers: list[dict[str, str | int | None]] = []

    def __call__(self, response: Any) -> None:
        self.note(response.headers, response.status_code)

    async def later(self, response: Any) -> None:
        self.note(response.headers, response.status_code)

    def note(self, headers: Any, status: int = 200) -> None:
        names = {name: f"x-tollhouse-{name}" for name in ("model", "vendor", "attempts", "cost-usd", "overhead-ms")}
        names |= {"request_id": "x-request-id", "dropped": "x-tollhouse-dropped-fields"}
        self.answers.append({"status": status, **{short: headers.get(name) for short, name in names.items()}})


class Job(NamedTuple):
    gateway: Gateway
    model: str
    recorder: Recorder


Scenario = Callable[[Job], dict[str, Any]]


def run_tool(name: str, arguments: Mapping[str, Any]) -> str:
    """What the tools of every script do. Raises KeyError if the model made up a tool or an argument."""
    return {"get_weather": "sunny in {}", "get_time": "noon in {}"}[name].format(arguments["city"])


def main(scenarios: Mapping[str, Scenario]) -> None:
    gateway = Gateway(os.environ["TOLLHOUSE_URL"], os.environ["TOLLHOUSE_KEY"])
    jobs = [json.loads(line) for line in sys.stdin]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in pool.map(lambda job: _line(scenarios, gateway, job["scenario"], job["model"]), jobs):
            print(line, flush=True)


def _line(scenarios: Mapping[str, Scenario], gateway: Gateway, scenario: str, model: str) -> str:
    recorder = Recorder()
    said: dict[str, Any] = {"scenario": scenario, "model": model}
    try:
        said["seen"] = scenarios[scenario](Job(gateway, model, recorder))
    except Exception as error:  # noqa: BLE001 - what an SDK raises is what the test asks about
        said["raised"] = _raised(error)
    return json.dumps({**said, "answers": recorder.answers})


def _raised(error: BaseException) -> dict[str, Any]:
    response = getattr(error, "response", None)
    places = (response, "headers"), (error, "headers"), (error, "litellm_response_headers")
    headers: Any = next((found for each, name in places if (found := getattr(each, name, None))), {})
    return {
        "types": [f"{each.__module__.split('.')[0]}.{each.__name__}" for each in type(error).__mro__],
        "status": getattr(error, "status_code", None) or getattr(error, "code", None),
        "param": getattr(error, "param", None),
        "message": f"{error}"[:2000],
        "retry_after": headers.get("retry-after"),
    }
