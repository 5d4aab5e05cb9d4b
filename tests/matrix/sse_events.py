"""Server-sent events as vendors write them."""

import json

from tests.matrix.meaning import Json


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def data(payload: Json) -> bytes:
    return f"data: {dumps(payload)}\n\n".encode()


def named(payload: Json, *, end: str = "\n") -> bytes:
    """With the event's type as its name."""
    return f"event: {payload['type']}{end}data: {dumps(payload)}{end}{end}".encode()


def shown(events: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(event.decode() for event in events)
