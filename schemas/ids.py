"""Identifiers. Sortable by time: ClickHouse keeps neighbours in time together, and people can order logs by eye."""

from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""n -> n random bytes; `os.urandom` in production, a seeded one in tests."""


def new_id(prefix: str, now_ms: int, random_bytes: RandomBytes) -> str:
    """`<prefix>_<12 hex digits of unix milliseconds><20 hex digits of randomness>`."""
    return f"{prefix}_{now_ms:012x}{random_bytes(10).hex()}"


def attempt_id(request_id: str, delivery: int, attempt_no: int) -> str:
    """The one name of a vendor call: request, which delivery of it, which route tried in that delivery.

    It is derived, not drawn, so that the ingress and a worker name the same attempt alike without asking each other;
    that is what lets the billing consumer see that two reports are about one call.
    """
    return f"{request_id}.{delivery}.{attempt_no}"
