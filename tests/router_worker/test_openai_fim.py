"""A chat request with a suffix, for a vendor that fills in the middle; and Mistral's other ways, passed through."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_worker.vendors.openai.short_call_ids import short_call_id
from router_worker.vendors.openai.stream import OpenAiStream
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import Failure
from tests.router_worker.openai_samples import call, quirks, run, stream_bytes, vendor

BEFORE = [{"role": "user", "content": "def f("}]


def built(row: str = "mistral", *, streaming: bool = False, **fields: Any) -> VendorRequest | Failure:
    return vendor(row).build_request(call(orjson.dumps({"model": "m", **fields}), streaming=streaming))


def sent(row: str = "mistral", *, streaming: bool = False, **fields: Any) -> tuple[str, dict[str, Any]]:
    request = built(row, streaming=streaming, **fields)
    assert isinstance(request, VendorRequest)
    return request.url_path, orjson.loads(request.body)


def test_a_suffix_goes_to_where_the_middle_is_filled() -> None:
    path, body = sent(
        messages=BEFORE, suffix="return x", max_completion_tokens=9, seed=3, stop=["\n\n"], temperature=0, stream=True
    )
    assert path == "/fim/completions"
    assert body == {
        "model": "vendor/one",
        "prompt": "def f(",
        "suffix": "return x",
        "max_tokens": 9,
        "random_seed": 3,
        "stop": ["\n\n"],
        "temperature": 0,
        "stream": True,
    }
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    assert sent(messages=parts, suffix="")[1]["prompt"] == "ab"


def test_without_a_suffix_or_such_a_path_it_is_a_chat() -> None:
    assert sent(messages=BEFORE, suffix=None)[0] == "/chat/completions"
    path, body = sent("openai", messages=BEFORE, suffix="x")
    assert (path, body["suffix"], body["messages"]) == ("/chat/completions", "x", BEFORE)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": BEFORE * 2}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": BEFORE, "n": 2}, "n"),
        ({"messages": BEFORE, "tools": [{}]}, "tools"),
        ({"messages": BEFORE, "response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": BEFORE, "x": 1}, "x"),
    ],
)
def test_what_has_no_place_beside_a_suffix_is_refused(fields: dict[str, Any], param: str) -> None:
    failure = built(suffix="x", **fields)
    assert isinstance(failure, Failure)
    assert (failure.param, failure.code) == (param, "unsupported_by_vendor")


def test_hints_are_left_out_and_named() -> None:
    request = built(messages=BEFORE, suffix="x", n=1, presence_penalty=0.5, tools=[], logprobs=False, vendor="mistral")
    assert isinstance(request, VendorRequest)
    assert request.dropped == ("presence_penalty",)
    assert orjson.loads(request.body).keys() == {"model", "prompt", "suffix"}


def test_a_choice_of_any_tool_has_the_vendors_word() -> None:
    assert sent(messages=BEFORE, tool_choice="required")[1]["tool_choice"] == "any"
    assert sent("openai", messages=BEFORE, tool_choice="required")[1]["tool_choice"] == "required"
    named = {"type": "function", "function": {"name": "required"}}
    assert sent(messages=BEFORE, tool_choice=named)[1]["tool_choice"] == named


def test_ids_of_other_vendors_calls_are_made_to_fit_and_everything_else_stays() -> None:
    messages = (
        b'[{"role":"user","content":"\\u00e9 tool_call_id"},'
        b'{"role":"assistant","x":1.50,"tool_calls":[{"id":"call_long_1","function":{"arguments":"{}"}},{"id":"aB3dE6gH9"}]},'
        b'{"role":"tool","tool_call_id":"call_long_1","content":"\\ud83d\\ude00"},{"role":"tool","tool_call_id":"aB3dE6gH9"}]'
    )
    request = vendor("mistral").build_request(call(b'{"messages":' + messages + b"}"))
    assert isinstance(request, VendorRequest)
    fitting = messages.replace(b"call_long_1", short_call_id("call_long_1").encode())
    assert request.body == b'{"messages":' + fitting + b',"model":"vendor/one"}'
    untouched = vendor("openai").build_request(call(b'{"messages":' + messages + b"}"))
    assert isinstance(untouched, VendorRequest)
    assert messages in untouched.body


@pytest.mark.parametrize(
    "messages", ['"tool_call"', [5, {"tool_calls": [5]}], [{"tool_call_id": 5}], {"tool_calls": 1}]
)
def test_what_is_not_as_documented_is_left_to_the_vendor(messages: Any) -> None:
    assert sent(messages=messages)[1]["messages"] == messages


@given(st.text())
def test_every_id_becomes_one_that_fits_and_stays_it(call_id: str) -> None:
    short = short_call_id(call_id)
    assert len(short) == 9
    assert short.isalnum()
    assert short.isascii()
    assert short_call_id(short) == short


@given(st.lists(st.text(max_size=12), unique=True))
def test_ids_stay_apart(ids: list[str]) -> None:
    assert len({short_call_id(call_id) for call_id in ids}) == len(ids)


def test_thoughts_in_parts_count_as_generated() -> None:
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}]
    chunks = [{"choices": [{"index": 0, "delta": {"content": thought}, "finish_reason": None}]}] * 3
    outcome = run(OpenAiStream(call(streaming=True), quirks("mistral")), stream_bytes(*chunks))
    assert outcome.output_bytes >= 3 * len("hmm")
    assert outcome.chunks == 3
