"""What one cell tells: its exchanges, held against what both sides meant, and written down for the golden file."""

import dataclasses
import json
from typing import Literal

from ingress.client_apis import SURFACES
from schemas.failures import Failure
from tests.matrix.cells import (
    CLIENTS,
    REQUEST_ID,
    WIRES,
    Client,
    Got,
    Sent,
    WireSamples,
    answered,
    error_shown,
    failure_facts,
    samples,
    send,
    streamed,
    token_facts,
)
from tests.matrix.meaning import (
    ANNOUNCED,
    ARGUMENTS,
    MODEL,
    PNG,
    QUESTION,
    RESULTS,
    SCHEMA,
    SYSTEM,
    TOOL,
    Asked,
    Heard,
    Json,
    Result,
    Scenario,
    VendorAnswer,
    cost_pico_usd,
)

CellScenario = Literal[
    "plain", "streaming", "cut_off", "tool_round_trip", "image", "structured_output", "error", "truncated_stream"
]
SCENARIOS: tuple[CellScenario, ...] = (
    "plain",
    "streaming",
    "cut_off",
    "tool_round_trip",
    "image",
    "structured_output",
    "error",
    "truncated_stream",
)
# A message of Anthropic's API has no place for the mark of a call; the vendor takes calls of others' unmarked.
UNSIGNED = {("anthropic.messages", "gemini")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """`exchanges` as in the golden file. `refused`: why it cannot work, in the words that the client gets."""

    exchanges: list[Json]
    refused: str | None = None


def pairs() -> list[tuple[Client, WireSamples]]:
    return [(client, samples(client, wire)) for client in CLIENTS for wire in WIRES]


def tell(client: Client, wire: WireSamples, scenario: CellScenario) -> Cell:
    """Raises AssertionError for anything that is not as it was meant."""
    match scenario:
        case "plain" | "image":
            return _cell(client, wire, [(scenario, False)])
        case "streaming":
            return _cell(client, wire, [("plain", True)])
        case "structured_output" | "cut_off":
            return _cell(client, wire, [(scenario, False), (scenario, True)])
        case "tool_round_trip":
            asked: list[tuple[Scenario, bool]] = [
                (question, streaming) for question in ("tool_calls", "tool_results") for streaming in (False, True)
            ]
            return _cell(client, wire, asked)
        case "error":
            return _errors(client, wire)
        case "truncated_stream":
            return _truncated(client, wire)


def prepared(
    client: Client, wire: WireSamples, scenario: Scenario, *, streaming: bool, before: Heard | None = None
) -> tuple[Sent, VendorAnswer] | Failure:
    body = client.request(scenario, streaming=streaming, before=before)
    sent = send(client.name, wire, body, streaming=streaming, path_model=client.path_model)
    if isinstance(sent, Failure):
        return sent
    check_asked(client, wire, scenario, sent)
    return sent, wire.answer(scenario, sent.body)


def _cell(client: Client, wire: WireSamples, asked: list[tuple[Scenario, bool]]) -> Cell:
    exchanges: list[Json] = []
    heard: dict[Scenario, Heard] = {}
    for scenario, streaming in asked:
        ready = prepared(client, wire, scenario, streaming=streaming, before=heard.get("tool_calls"))
        if isinstance(ready, Failure):
            return Cell(exchanges=[*exchanges, _refused(client, scenario, ready)], refused=ready.text)
        sent, answer = ready
        got = streamed(sent, answer.stream) if streaming else answered(sent, answer)
        understood = check_heard(client, answer, got, streaming=streaming)
        if scenario in heard:
            assert heard[scenario].said == understood.said, "a stream says the same as a plain answer"
        heard.setdefault(scenario, understood)
        exchanges.append(_written(sent, answer, got, streaming=streaming))
    return Cell(exchanges=exchanges)


def check_asked(client: Client, wire: WireSamples, scenario: Scenario, sent: Sent) -> None:
    """The vendor is asked for what the client asked for."""
    asked = wire.read_request(sent.request.url_path, sent.body)
    with_tools = scenario in ("tool_calls", "tool_results")
    expected = Asked(
        system=SYSTEM,
        text=QUESTION,
        images=(("image/png", PNG),) if scenario == "image" else (),
        tools=(TOOL,) if with_tools else (),
        schema=SCHEMA if scenario == "structured_output" else None,
    )
    if scenario == "tool_results":
        calls = wire.answer("tool_calls", sent.body).said.calls
        assert [(call.name, call.arguments) for call in calls] == [(TOOL, arguments) for arguments in ARGUMENTS]
        signed = wire.signs and (client.name, wire.name) not in UNSIGNED
        results = tuple(Result(call.call_id, text) for call, text in zip(calls, RESULTS, strict=True))
        expected = dataclasses.replace(
            expected, calls=calls, results=results, signed=signed, replayed="".join(ANNOUNCED)
        )
    assert asked == expected


def check_heard(client: Client, answer: VendorAnswer, got: Got, *, streaming: bool) -> Heard:
    """The client hears what the vendor said, and everybody counts the same tokens."""
    assert got.failure is None
    assert got.complete
    heard = client.read_stream(got.client) if streaming else client.read_plain(got.client)
    assert heard.said == answer.said
    assert heard.model == MODEL
    assert heard.figures is not None
    meant = dataclasses.asdict(answer.figures)
    for name, count in dataclasses.asdict(heard.figures).items():
        assert count is None or count == meant[name], (name, count, meant[name])
    billed = token_facts(got.tokens)
    names = {"cached": "cached_input", "written": "cache_write", "written_1h": "cache_write_1h"}
    assert billed == {names.get(name, name): count for name, count in meant.items()}
    assert got.cost_pico_usd == cost_pico_usd(answer.figures)
    return heard


def check_broken(client: Client, got: Got) -> Failure:
    """A failure, which the client cannot take for the end of an answer, and can read as an error of its own API."""
    assert got.failure is not None
    assert not got.complete
    assert not client.is_ended(got.client)
    assert got.client.endswith(b"\n\n") or not got.client
    assert client.read_error_event(_event(client, got.failure))
    return got.failure


def _errors(client: Client, wire: WireSamples) -> Cell:
    ready = prepared(client, wire, "plain", streaming=False)
    assert not isinstance(ready, Failure), ready
    sent, _ = ready
    exchanges: list[Json] = []
    for error in wire.errors.values():
        failure = sent.vendor.classify_error(error.status, error.headers, error.body, sent.call.now_ms)
        assert failure.kind.value == error.kind
        assert failure.retry_after_s == error.retry_after_s
        assert failure.rule.advance == error.advance
        assert failure.http_status == error.status
        shown = error_shown(client.name, failure)
        assert client.read_error(json.dumps(shown).encode())
        exchanges.append(
            {
                "client_request": sent.client_request,
                "vendor_request": _request(sent),
                "vendor_answer": {
                    "status": error.status,
                    "headers": dict(error.headers),
                    "body": json.loads(error.body),
                },
                "client_gets": {"status": failure.http_status, "body": shown},
                "failure": failure_facts(failure),
            }
        )
    return Cell(exchanges=exchanges)


def _truncated(client: Client, wire: WireSamples) -> Cell:
    ready = prepared(client, wire, "plain", streaming=True)
    assert not isinstance(ready, Failure), ready
    sent, answer = ready
    kept = answer.whole_after - 2
    got = streamed(sent, b"".join(answer.events[:kept]))
    failure = check_broken(client, got)
    assert got.client, "something was said before the stream broke"
    event = _event(client, failure)
    written = _written(sent, answer, got, streaming=True)
    written["vendor_answer"]["stream"] = list(answer.shown[:kept])
    written["client_gets"]["stream"] += event.decode().splitlines()
    return Cell(exchanges=[written | {"failure": failure_facts(failure)}])


def _event(client: Client, failure: Failure) -> bytes:
    return SURFACES[client.name].error_event(failure, REQUEST_ID)


def _refused(client: Client, scenario: Scenario, failure: Failure) -> Json:
    return {
        "question": scenario,
        "client_gets": {"status": failure.http_status, "body": error_shown(client.name, failure)},
        "failure": failure_facts(failure),
    }


def _written(sent: Sent, answer: VendorAnswer, got: Got, *, streaming: bool) -> Json:
    vendor: Json = {"stream": list(answer.shown)} if streaming else {"body": json.loads(answer.body)}
    client: Json = {"stream": got.client.decode().splitlines()} if streaming else {"body": json.loads(got.client)}
    return {
        "client_request": sent.client_request,
        "vendor_request": _request(sent),
        "vendor_answer": vendor,
        "client_gets": client,
        "tokens": token_facts(got.tokens),
        "finish": got.finish,
        "cost_pico_usd": got.cost_pico_usd,
    }


def _request(sent: Sent) -> Json:
    return {"path": sent.request.url_path, "body": sent.body, "dropped": list(sent.request.dropped)}
