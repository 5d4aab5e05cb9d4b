"""What an answer says of itself."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.answer_headers import answer_headers, stream_metadata, usd, with_metadata
from ingress.client_apis import SURFACES
from ingress.exchange import Exchange
from ingress.surfaces.surface import ClientSurface
from schemas.frames import End, Head
from tests.fakes.envelopes import envelope
from tests.fakes.tickets import FakeTicket

HEAD = Head(
    status=200,
    content_type="application/json",
    model="m",
    vendor="v",
    attempts=2,
    vendor_ms=700,
    cost_pico_usd=1_230_000,
    dropped=("seed", "user"),
)


def exchange() -> Exchange:
    return Exchange(envelope(accepted_at_ms=1_000), b"", 1, FakeTicket(headers={"X-Tollhouse-Budget-Scope": "project"}))


@pytest.mark.parametrize(
    ("pico_usd", "text"),
    [(0, "0"), (1, "0.000000000001"), (1_230_000, "0.00000123"), (5 * 10**12, "5"), (10**13, "10")],
)
def test_money_has_all_its_digits_and_no_exponent(pico_usd: int, text: str) -> None:
    assert usd(pico_usd) == text


def test_the_headers_name_model_vendor_cost_attempts_and_overhead() -> None:
    headers = answer_headers(exchange(), HEAD, 1_712)
    assert headers["X-Tollhouse-Model"] == "m"
    assert headers["X-Tollhouse-Vendor"] == "v"
    assert headers["X-Tollhouse-Attempts"] == "2"
    assert headers["X-Tollhouse-Cost-Usd"] == "0.00000123"
    assert headers["X-Tollhouse-Overhead-Ms"] == "12"
    assert headers["X-Tollhouse-Dropped-Fields"] == "seed, user"


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()), st.sampled_from(["", " ", "\n"]))
def test_metadata_is_one_more_field_of_any_object(value: dict[str, object], space: str) -> None:
    value.pop("routing_metadata", None)
    body = (json.dumps(value, indent=1) + space).encode()
    said = json.loads(with_metadata(body, exchange(), HEAD, 1_712))
    metadata = said.pop("routing_metadata")
    assert said == value
    assert metadata["cost_usd"] == "0.00000123"
    assert metadata["dropped_fields"] == ["seed", "user"]


def test_what_is_no_object_stays_as_it_is() -> None:
    assert with_metadata(b"[1]", exchange(), HEAD, 0) == b"[1]"


@pytest.mark.parametrize("surface", SURFACES.values(), ids=lambda surface: surface.name)
def test_a_stream_tells_its_cost_at_its_end(surface: ClientSurface) -> None:
    whole = exchange()
    whole.end = End(cost_pico_usd=7, estimated=False)
    event = surface.metadata_event(stream_metadata(whole, HEAD, 12))
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    said = event[event.index(b"{") :]
    assert '"cost_usd":"0.000000000007"' in json.dumps(json.loads(said), separators=(",", ":"))


def test_of_very_many_dropped_fields_the_header_names_the_first_ones() -> None:
    many = msgspec.structs.replace(HEAD, dropped=tuple(f"tools[{number}].input_examples" for number in range(10_000)))
    said = answer_headers(exchange(), many, 1_000)["X-Tollhouse-Dropped-Fields"]
    assert said.startswith("tools[0].input_examples, tools[1].input_examples, ")
    assert said.endswith("].input_examples, ...")
    assert len(said) < 1_100


def test_a_name_that_would_break_the_header_apart_is_not_in_it() -> None:
    odd = msgspec.structs.replace(HEAD, dropped=("seed", "x\r\nX-Evil: 1", "é", "messages[].*", "a.topK"))
    assert answer_headers(exchange(), odd, 0)["X-Tollhouse-Dropped-Fields"] == "seed, messages[].*, a.topK"
