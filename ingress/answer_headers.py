"""What every answer says of itself in its headers, and in its body if the client asked for it. Pure."""

import re
from decimal import Decimal

import msgspec

from ingress.exchange import Exchange
from schemas.frames import Head

REQUEST_ID = "X-Request-Id"
MODEL = "X-Tollhouse-Model"
VENDOR = "X-Tollhouse-Vendor"
ATTEMPTS = "X-Tollhouse-Attempts"
COST = "X-Tollhouse-Cost-Usd"
ESTIMATED = "X-Tollhouse-Cost-Estimated"
OVERHEAD = "X-Tollhouse-Overhead-Ms"
DROPPED = "X-Tollhouse-Dropped-Fields"
OUTPUT_CAP = "X-Tollhouse-Output-Cap-Tokens"

MAX_DROPPED_CHARACTERS = 1000

# A name out of a client's body that slipped through must not break the header apart.
_HEADER_SAFE = re.compile(r"[\w.*\[\]-]{1,100}", re.ASCII)
_PICO = Decimal(10) ** -12


def usd(pico_usd: int) -> str:
    """All digits and no exponent: "0.000012345678"."""
    text = format(pico_usd * _PICO, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def answer_headers(exchange: Exchange, head: Head, now_ms: int) -> dict[str, str]:
    """The overhead is what passed from acceptance to now without the time that vendors took: queueing and our own work.
    A stream's cost is not known when its headers are sent; it comes with the metadata at its end, if asked for.
    The output cap is there if the client gave none and a hard budget needed one."""
    headers = {
        "Content-Type": head.content_type,
        REQUEST_ID: exchange.envelope.request_id,
        MODEL: head.model,
        VENDOR: head.vendor,
        ATTEMPTS: str(head.attempts),
        OVERHEAD: str(overhead_ms(exchange, head, now_ms)),
    }
    if head.cost_pico_usd is not None:
        headers[COST] = usd(head.cost_pico_usd)
    if head.estimated:
        headers[ESTIMATED] = "true"
    if head.dropped:
        headers[DROPPED] = _shortened(head.dropped)
    if head.capped_tokens is not None:
        headers[OUTPUT_CAP] = str(head.capped_tokens)
    headers.update(exchange.ticket.headers)
    return headers


def _shortened(names: tuple[str, ...]) -> str:
    """A field of each of a thousand tools may have been left out, and clients refuse headers of that size."""
    text = ", ".join(name for name in names if _HEADER_SAFE.fullmatch(name))
    return text if len(text) <= MAX_DROPPED_CHARACTERS else text[:MAX_DROPPED_CHARACTERS].rpartition(", ")[0] + ", ..."


def routing_metadata(
    exchange: Exchange, head: Head, cost_pico_usd: int | None, overhead: int, *, estimated: bool
) -> dict[str, object]:
    return {
        "request_id": exchange.envelope.request_id,
        "model": head.model,
        "vendor": head.vendor,
        "attempts": head.attempts,
        "cost_usd": None if cost_pico_usd is None else usd(cost_pico_usd),
        "cost_estimated": estimated,
        "overhead_ms": overhead,
        "dropped_fields": list(head.dropped),
    }


def with_metadata(body: bytes, exchange: Exchange, head: Head, now_ms: int) -> bytes:
    """A JSON object's bytes with `routing_metadata` as its last field; what is no JSON object stays as it is."""
    end = body.rstrip()
    if not (end.startswith(b"{") and end.endswith(b"}")):
        return body
    overhead = overhead_ms(exchange, head, now_ms)
    metadata = routing_metadata(exchange, head, head.cost_pico_usd, overhead, estimated=head.estimated)
    said = msgspec.json.encode(metadata)
    inside = end[1:-1].rstrip()
    return b"{" + inside + (b"," if inside.strip() else b"") + b'"routing_metadata":' + said + b"}"


def stream_metadata(exchange: Exchange, head: Head, overhead: int) -> bytes:
    """For the end of a stream, as JSON; only there its cost is known."""
    end = exchange.end
    cost_pico_usd = None if end is None else end.cost_pico_usd
    estimated = end is not None and end.estimated
    return msgspec.json.encode(routing_metadata(exchange, head, cost_pico_usd, overhead, estimated=estimated))


def overhead_ms(exchange: Exchange, head: Head, now_ms: int) -> int:
    return max(0, now_ms - exchange.envelope.accepted_at_ms - head.vendor_ms)
