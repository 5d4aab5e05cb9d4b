"""Everything that is refused before it is put on the queue, in OpenAI's error shape, naming the field."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from ingress.admission import Refusal
from ingress.surfaces.openai_chat import OpenAiChat
from ingress.surfaces.surface import Call
from schemas.envelope import ENVELOPE
from schemas.failures import Failure, FailureKind
from tests.fakes.envelopes import envelope
from tests.fakes.tickets import FakeTicket
from tests.fakes.waiting import until
from tests.ingress.http_stack import CHAT, SECRET, Stack, chat, ingress_stack


async def refused(
    stack: Stack,
    status: int,
    error_type: str,
    code: str,
    *,
    param: str | None = None,
    method: str = "POST",
    path: str = CHAT,
    **request: Any,
) -> aiohttp.ClientResponse:
    """Asserts the whole error, and that nothing reached the queue."""
    async with stack.client.request(method, path, **request) as response:
        body = await response.read()
    assert response.status == status, body
    assert response.headers["Content-Type"] == "application/json"
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert (error["type"], error["code"], error["param"]) == (error_type, code, param)
    assert stack.kafka.records == []
    assert stack.exchanges.waiting_clients == 0
    return response


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "missing_api_key"),
        ("Basic dTpw", "missing_api_key"),
        (SECRET, "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer wrong", "invalid_api_key"),
        ("Bearer  ", "missing_api_key"),
        (f"Bearer {SECRET}x", "invalid_api_key"),
        ("Bearer \udcff\udcfe", "invalid_api_key"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("GET", "/v1/models"), ("GET", "/v1/models/m")])
async def test_without_a_valid_key(header: str, code: str, method: str, path: str) -> None:
    async with ingress_stack() as stack:
        status = await raw_status(stack, method, path, b"Authorization: " + header.encode(errors="surrogateescape"))
        assert status[0] == 401
        assert status[1]["code"] == code
        assert status[1]["type"] == "authentication_error"


async def raw_status(
    stack: Stack, method: str, path: str, *headers: bytes, body: bytes = b"{}"
) -> tuple[int, dict[str, Any]]:
    """Sends bytes that an HTTP library would refuse to send; returns the status and the error object."""
    host, port = stack.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{method} ".encode() + path.encode(errors="surrogateescape") + b" HTTP/1.1", b"Host: x", *headers]
    length = b"Content-Length: %d" % len(body)
    writer.write(b"\r\n".join([*lines, length, b"Connection: close", b"", body]))
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    head, _, payload = answer.partition(b"\r\n\r\n")
    assert payload[:1] == b"{", answer
    return int(head.split()[1]), json.loads(payload)["error"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(scheme: str) -> None:
    async with (
        ingress_stack() as stack,
        stack.client.get("/v1/models", headers={"Authorization": f"{scheme}  {SECRET} "}) as response,
    ):
        assert response.status == 200


INVALID: list[tuple[Any, str | None]] = [
    ([], None),
    ("text", None),
    (None, None),
    (7, None),
    ({}, "model"),
    ({"model": "m"}, "messages"),
    (chat(model=None), "model"),
    (chat(model=""), "model"),
    (chat(model="x" * 257), "model"),
    (chat(model=3), "model"),
    (chat(messages=None), "messages"),
    (chat(messages=[]), "messages"),
    (chat(messages="hi"), "messages"),
    (chat(messages=[{"role": "user"}, "hi"]), "messages[1]"),
    (chat(messages=[{"content": "hi"}]), "messages[0].role"),
    (chat(messages=[{"role": "robot", "content": "hi"}]), "messages[0].role"),
    (chat(stream="yes"), "stream"),
    (chat(stream_options=1), "stream_options"),
    (chat(stream_options={"include_usage": 1}), "stream_options.include_usage"),
    (chat(max_tokens=0), "max_tokens"),
    (chat(max_tokens=-1), "max_tokens"),
    (chat(max_tokens=1.5), "max_tokens"),
    (chat(max_tokens="9"), "max_tokens"),
    (chat(max_completion_tokens=0), "max_completion_tokens"),
    (chat(n=0), "n"),
    (chat(n=129), "n"),
    (chat(temperature=2.01), "temperature"),
    (chat(temperature=-0.1), "temperature"),
    (chat(top_p=1.1), "top_p"),
    (chat(tools={}), "tools"),
    (chat(tools=[1]), "tools[0]"),
    (chat(zero_data_retention="yes"), "zero_data_retention"),
]


async def test_each_invalid_field_is_named() -> None:
    async with ingress_stack() as stack:
        for body, param in INVALID:
            what = json.dumps(body)
            async with stack.client.post(CHAT, data=what) as response:
                error = (await response.json())["error"]
            assert response.status == 400, what
            assert error["type"] == "invalid_request_error", what
            assert error["code"] == "invalid_request", what
            assert error["param"] == param, (what, error)
        assert stack.kafka.records == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"model": "m", "messages": [{"role": "user"}]} trailing',
        b"\xff\xfe",
        b'{"model": "\xff", "messages": [{"role": "user"}]}',
        b'{"model": "\\ud800", "messages": [{"role": "user"}]}',
        b'{"model": "m", "messages": [{"role": "user"}], "temperature": NaN}',
        b'{"tools": ' + b'[{"a": ' * 5000,
    ],
)
async def test_what_is_not_json(body: bytes) -> None:
    async with ingress_stack() as stack:
        await refused(stack, 400, "invalid_request_error", "invalid_json", data=body)


async def test_depth_does_not_matter() -> None:
    deep = b'{"model": "m", "messages": [{"role": "user"}], "tools": [{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    async with ingress_stack() as stack:
        await refused(stack, 400, "invalid_request_error", "invalid_json", data=deep)


async def test_a_body_that_is_too_large() -> None:
    async with ingress_stack(max_body_bytes=1000) as stack:
        await refused(stack, 413, "invalid_request_error", "body_too_large", data=b"x" * 1001)

        async def in_pieces() -> Any:
            for _ in range(11):
                yield b"x" * 100

        await refused(stack, 413, "invalid_request_error", "body_too_large", data=in_pieces())
        await refused(stack, 400, "invalid_request_error", "invalid_json", data=b"x" * 1000)


async def test_a_body_that_is_not_what_its_headers_say() -> None:
    async with ingress_stack() as stack:
        key = f"Authorization: Bearer {SECRET}".encode()
        status, error = await raw_status(stack, "POST", CHAT, key, b"Content-Encoding: gzip", body=b"not gzip")
        assert (status, error["type"]) == (400, "invalid_request_error")
        assert stack.kafka.records == []


async def test_unknown_models_paths_and_methods() -> None:
    async with ingress_stack() as stack:
        await refused(stack, 404, "invalid_request_error", "model_not_found", param="model", json=chat(model="nope"))
        await refused(
            stack, 404, "invalid_request_error", "model_not_found", param="model", method="GET", path="/v1/models/no/pe"
        )
        for path in ("/", "/v1", "/v1/chat", "/v2/chat/completions", "/v1/chat/completions/"):
            await refused(stack, 404, "invalid_request_error", "unknown_path", path=path)
        response = await refused(stack, 405, "invalid_request_error", "method_not_allowed", method="GET")
        assert response.headers["Allow"] == "POST"
        await refused(stack, 405, "invalid_request_error", "method_not_allowed", method="DELETE", path="/v1/models")


@pytest.mark.parametrize("path", ["/v1/%ff", "/v1/models/%ff%00", "/v1/%ed%b3%bf", "/%", "/v1/models/%"])
async def test_paths_that_are_no_text(path: str) -> None:
    async with ingress_stack() as stack:
        status, error = await raw_status(stack, "GET", path, f"Authorization: Bearer {SECRET}".encode())
        assert status in (400, 404)
        assert error["type"] == "invalid_request_error"


async def test_a_refusal_of_admission_is_told_with_its_headers() -> None:
    async with ingress_stack() as stack:
        failure = Failure(kind=FailureKind.PROJECT_BUDGET_EXCEEDED, retry_after_s=7)
        stack.admission.refusal = Refusal(failure, {"X-Tollhouse-Budget-Remaining-Usd": "0"})
        await refused(stack, 402, "budget_exceeded", "project_budget_exceeded", json=chat())
        async with stack.client.post(CHAT, json=chat()) as response:
            assert response.headers["X-Tollhouse-Budget-Remaining-Usd"] == "0"
            assert response.headers["Retry-After"] == "7"
        assert stack.kafka.requests() == []
        stack.admission.refusal = None
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(stack.client.post(CHAT, json=chat()))
            await stack.worker.answer(await stack.request(), b"whole")
            assert (await call).status == 200


async def test_what_a_request_holds_travels_with_it_and_is_settled_once() -> None:
    async with ingress_stack() as stack, asyncio.TaskGroup() as tasks:
        headers = {"X-Tollhouse-Budget-Remaining-Usd": "5"}
        ticket = stack.admission.ticket = FakeTicket(leases=("1|b@x|h.1",), gateway_cap_tokens=9, headers=headers)
        call = tasks.create_task(stack.client.post(CHAT, json=chat(tags={"team": "a"}, customer="c")))
        sent = await stack.request()
        assert (sent.leases, sent.gateway_cap_tokens) == (("1|b@x|h.1",), 9)
        [ask] = stack.admission.asks
        assert ask.scopes == ("api_key:key", "customer:org/c", "tag:org/team=a", "project:proj", "organization:org")
        assert (ask.accepted_at_ms, ask.worst_case.capped) == (sent.accepted_at_ms, False)
        await stack.worker.answer(sent, b"whole")
        response = await call
        assert response.headers["X-Tollhouse-Output-Cap-Tokens"] == "9"
        assert response.headers["X-Tollhouse-Budget-Remaining-Usd"] == "5"
        await until(lambda: bool(ticket.settled))
        assert (ticket.settled, ticket.answers) == ([(1, 7)], 1)


async def test_overload_and_room_again() -> None:
    async with ingress_stack(max_open_requests=1) as stack, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(stack.client.post(CHAT, json=chat()))
        sent = await stack.request()
        async with stack.client.post(CHAT, json=chat()) as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "1"
            assert (await response.json())["error"]["code"] == "overloaded"
        assert len(stack.kafka.requests()) == 1
        await stack.worker.answer(sent, b"whole")
        assert (await call).status == 200
        call = tasks.create_task(stack.client.post(CHAT, json=chat()))
        await stack.worker.answer(await stack.request(1), b"whole")
        assert (await call).status == 200


async def test_a_queue_that_takes_nothing() -> None:
    async with ingress_stack() as stack:
        stack.kafka.refusal = KafkaConnectionError()
        for _ in range(3):
            response = await refused(stack, 503, "api_error", "queue_unavailable", json=chat())
            assert response.headers["Retry-After"] == "1"
            assert response.headers["X-Request-Id"].startswith("req_")
        assert stack.exchanges.unsettled == 0


async def test_a_queue_that_confirms_nothing() -> None:
    async with ingress_stack(confirm_within_s=0.05) as stack:
        stack.kafka.confirming = False
        async with stack.client.post(CHAT, json=chat()) as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "queue_unavailable"
        async with stack.client.post(CHAT, json=chat()) as response:
            assert response.status == 503
        assert len(stack.kafka.requests()) == 1, "while one is overdue, others are refused at once"
        stack.worker.send_claim(await stack.request())
        await until(lambda: stack.worker.refusals)
        stack.kafka.confirming = True
        stack.kafka.confirm_all()
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(stack.client.post(CHAT, json=chat()))
            await until(lambda: len(stack.kafka.requests()) == 2)
            await stack.worker.answer(stack.kafka.requests()[1].envelope, b"whole")
            assert (await call).status == 200


# Whatever a client sends: a 4xx in the API's own shape, or a request that the queue can carry.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from([*chat(), "stream", "stream_options", "max_tokens", "n", "temperature", "tools", "top_p"])
_BODIES = st.one_of(
    st.binary(max_size=60),
    _JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(_FIELDS, _JSON, max_size=4).map(lambda fields: json.dumps(chat() | fields).encode()),
    st.builds(lambda cut: json.dumps(chat()).encode()[:cut], st.integers(0, 60)),
)


def _read(body: bytes) -> Call | Failure:
    return OpenAiChat().read_call(body, None, streaming=False)


@given(_BODIES)
@settings(max_examples=400, deadline=None)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    call = _read(body)
    if isinstance(call, Failure):
        assert call.kind in (FailureKind.INVALID_JSON, FailureKind.INVALID_REQUEST)
        assert call.http_status == 400
        return
    sent = envelope(model=call.model, max_output_tokens=call.max_output_tokens, streaming=call.streaming)
    assert ENVELOPE.decode(ENVELOPE.encode(sent)) == sent


async def test_any_body_gets_an_answer_in_the_apis_shape() -> None:
    seen: list[bytes] = []

    @given(_BODIES.filter(lambda body: isinstance(_read(body), Failure) or b'"m"' not in body))
    @settings(max_examples=100, deadline=None)
    def collect(body: bytes) -> None:
        seen.append(body)

    collect()
    async with ingress_stack() as stack:
        for body in seen:
            async with stack.client.post(CHAT, data=body) as response:
                assert 400 <= response.status < 500, body
                assert set((await response.json())["error"]) == {"message", "type", "param", "code"}, body
        assert stack.kafka.records == []


async def test_a_name_of_a_megabyte_is_not_said_back() -> None:
    async with ingress_stack() as stack:
        path = "/" + "x" * 5000
        async with stack.client.get(path) as response:
            assert response.status == 404
            assert len(await response.read()) < 2000
