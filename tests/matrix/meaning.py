"""What was asked and what was said, in no API's words: the measure that both sides of a cell are held against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]
Finish = Literal["stop", "tool_calls", "length"]


class Call(NamedTuple):
    """`call_id` None: the vendor gives none. `arguments` parsed."""

    call_id: str | None
    name: str
    arguments: Any


class Result(NamedTuple):
    """`call_id` None: the vendor's format has no place for one."""

    call_id: str | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Said:
    text: str = ""
    thoughts: str = ""
    calls: tuple[Call, ...] = ()
    finish: Finish = "stop"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Tokens; None where a client's API has no place for the figure. Parts are included in `input` and `output`."""

    input: int
    output: int
    cached: int | None = 0
    written: int | None = 0
    written_1h: int | None = 0
    reasoning: int | None = 0


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a client understood. `replay`: what it sends back of it in the next turn, in its own API's form."""

    said: Said
    figures: Figures | None
    model: str | None
    replay: Any = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a vendor understood of a request.

    images: as (media type, base64). replayed: what the model itself had said before. signed: what the vendor wants to
    see again of its own thoughts came back.
    """

    system: str = ""
    text: str = ""
    replayed: str = ""
    images: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    schema: Any = None
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    signed: bool = False


@dataclass(frozen=True, kw_only=True)
class VendorAnswer:
    """One answer, whole and as a stream. `events`: the stream, cut between its events. `shown`: the stream for people.

    whole_after: with this many events the answer is whole, although more may follow.
    """

    said: Said
    figures: Figures
    body: bytes
    events: tuple[bytes, ...]
    shown: tuple[str, ...]
    whole_after: int

    @property
    def stream(self) -> bytes:
        return b"".join(self.events)


@dataclass(frozen=True, kw_only=True)
class VendorError:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes
    kind: str
    advance: bool
    retry_after_s: float | None = None


class UsdPerMillion(NamedTuple):
    """A price with a different figure for each kind of token: whoever takes one kind for another is found out."""

    input: Decimal = Decimal("2.11")
    cached: Decimal = Decimal("0.23")
    written: Decimal = Decimal("3.37")
    written_1h: Decimal = Decimal("4.51")
    output: Decimal = Decimal("11.03")
    reasoning: Decimal = Decimal("13.07")


PRICES = UsdPerMillion()


def cost_pico_usd(figures: Figures) -> int:
    """By hand: a token at one USD per million costs 10⁶ pico-USD."""
    cached, written, written_1h = figures.cached or 0, figures.written or 0, figures.written_1h or 0
    reasoning = figures.reasoning or 0
    usd = (
        (figures.input - cached - written) * PRICES.input
        + cached * PRICES.cached
        + (written - written_1h) * PRICES.written
        + written_1h * PRICES.written_1h
        + (figures.output - reasoning) * PRICES.output
        + reasoning * PRICES.reasoning
    )
    cost = usd * 10**6
    assert cost == int(cost)
    return int(cost)


# The story that every cell tells.
SYSTEM = "Antworte knapp."
QUESTION = 'Was ist "2 + 2"?\nUnd wie wird das Wetter?'
# Quotes, a backslash, line ends, signs of two, three and four bytes: what breaks when bytes are cut.
PIECES = ("Vier", ', "sagt" man \\ in Köln', " — \U0001f600\n", "Ende.")
TEXT = "".join(PIECES)
THOUGHTS = ("Zwei und zwei: ", "vier, änder\nt sich nie.")
THOUGHT = "".join(THOUGHTS)
# The same tool twice, so that results cannot be told apart by its name.
TOOL = "get_weather"
ARGUMENTS: tuple[Json, Json] = ({"city": "Köln", "days": 2}, {"city": 'Rio "de" Janeiro\\', "days": 1})
RESULTS = ("18 °C, sonnig", "31 °C, Gewitter")
TOOL_DESCRIPTION = "Das Wetter einer Stadt."
TOOL_PARAMETERS: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
SCHEMA: Json = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}, "word": {"type": "string"}},
    "required": ["sum", "word"],
    "additionalProperties": False,
}
STRUCTURED: Json = {"sum": 4, "word": "vier — \U0001f600"}
ANNOUNCED = ("Ich sehe ", "nach:\n")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MODEL = "matrix-model"
MAX_TOKENS = 4000

Scenario = Literal["plain", "cut_off", "tool_calls", "tool_results", "image", "structured_output"]
"""What is asked. Whether it streams is another matter."""
ASKS_TO_THINK: tuple[Scenario, ...] = ("plain", "tool_calls", "tool_results")


def gateway_fields(*, streaming: bool) -> Json:
    """All that a client may say to the gateway itself; one of `vendor` and `vendors` excludes the other."""
    return {
        "models": ["gateway-fallback"],
        **({"vendor": "gateway-vendor"} if streaming else {"vendors": ["gateway-vendor"]}),
        "tags": {"gateway-tag": "yes"},
        "project_id": "gateway-project",
        "customer": "gateway-customer",
        "routing_policy": "default",
        "zero_data_retention": False,
        "include_routing_metadata": True,
    }
