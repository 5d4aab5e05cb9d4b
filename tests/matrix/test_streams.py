"""Streams cut anywhere say the same; streams that end too early are failures, wherever they end."""

import random

import pytest

from schemas.failures import Failure, FailureKind
from tests.matrix.cells import CLIENTS, WIRES, Client, Sent, WireSamples, send, streamed
from tests.matrix.exchanges import check_broken, check_heard, pairs, prepared
from tests.matrix.meaning import Scenario, VendorAnswer, cost_pico_usd

RANDOM_ENDS = 50
STREAMS = [
    pytest.param(client, wire, scenario, id=f"{client.name}-{wire.name}-{scenario}")
    for client, wire in pairs()
    for scenario in ("plain", "tool_calls")
]


def ready(client: Client, wire: WireSamples, scenario: Scenario) -> tuple[Sent, VendorAnswer]:
    found = prepared(client, wire, scenario, streaming=True)
    if isinstance(found, Failure):
        pytest.skip(f"refused: {found.text}")
    return found


@pytest.mark.parametrize(("client", "wire", "scenario"), STREAMS)
def test_every_cut_gives_the_same_stream(client: Client, wire: WireSamples, scenario: Scenario) -> None:
    sent, answer = ready(client, wire, scenario)
    data = answer.stream
    whole = streamed(sent, data)
    check_heard(client, answer, whole, streaming=True)
    assert streamed(sent, *(data[i : i + 1] for i in range(len(data)))) == whole
    for cut in range(1, len(data)):
        assert streamed(sent, data[:cut], data[cut:]) == whole, cut


@pytest.mark.parametrize(("client", "wire", "scenario"), STREAMS)
def test_an_early_end_is_a_failure(client: Client, wire: WireSamples, scenario: Scenario) -> None:
    sent, answer = ready(client, wire, scenario)
    data = answer.stream
    whole = streamed(sent, data)
    boundaries = [len(b"".join(answer.events[:count])) for count in range(len(answer.events))]
    end = len(b"".join(answer.events[: answer.whole_after]))
    # The line ends behind an event of text are not missed.
    last_word = end if wire.name == "bedrock" else len(data[:end].rstrip(b"\r\n"))
    chance = random.Random(f"{client.name} {wire.name} {scenario}")
    for length in [*boundaries, *chance.sample(range(1, len(data)), RANDOM_ENDS)]:
        got = streamed(sent, data[:length])
        assert got.failure is not None or length >= last_word
        if got.failure is not None:
            check_broken(client, got)
            assert whole.client.startswith(got.client), "what came before the break is what would have come"
        else:
            # What is missing is a mark, or the figures: then an estimate is billed, never a part of them.
            assert got.tokens in (None, whole.tokens)
            assert got.finish == whole.finish


@pytest.mark.parametrize(("client", "wire", "scenario"), STREAMS)
def test_an_error_in_the_stream_is_a_failure(client: Client, wire: WireSamples, scenario: Scenario) -> None:
    """Before the first word another route can still answer, so the client must have got nothing (G2)."""
    sent, answer = ready(client, wire, scenario)
    whole = streamed(sent, answer.stream)
    words = 0
    for count in range(answer.whole_after):
        got = streamed(sent, *answer.events[:count], wire.stream_error)
        failure = check_broken(client, got)
        if got.client:
            words += 1
            assert failure.kind is FailureKind.VENDOR_BROKE_OFF
            assert whole.client.startswith(got.client)
        assert failure.rule.advance
    assert words, "the stream broke after something was said, too"
    assert streamed(sent, wire.stream_error).client == b""


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: str(wire.name))
def test_usage_is_counted_though_the_client_did_not_ask(wire: WireSamples) -> None:
    """Only OpenAI's chat lets a client do without; it then must not see the chunk that its SDK does not expect."""
    client = next(client for client in CLIENTS if client.name == "openai.chat")
    body = client.request("plain", streaming=True)
    del body["stream_options"]
    sent = send(client.name, wire, body, streaming=True, path_model=None)
    assert not isinstance(sent, Failure), sent
    if wire.name == "openai":
        assert sent.body["stream_options"] == {"include_usage": True}
    answer = wire.answer("plain", sent.body)
    got = streamed(sent, answer.stream)
    assert got.cost_pico_usd == cost_pico_usd(answer.figures)
    if wire.name != "mistral":  # Mistral's own chunks, which pass untouched, have it unasked
        assert b'"usage":{' not in got.client
    assert client.read_stream(got.client).said == answer.said
