"""Times as the API writes them: RFC 3339, in UTC. Pure."""

import re
from datetime import UTC, datetime

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")

# What ClickHouse's DateTime64 holds.
_FIRST_MS = 0
_LAST_MS = 7_258_118_400_000
"""The first moment of 2200."""


def parse_time(text: str) -> int:
    """Unix ms of an RFC 3339 time, or of the beginning of a day ("2026-11-01"), in UTC. Raises ValueError, whose text
    is for the caller."""
    if not (_DATE.fullmatch(text) or _TIME.fullmatch(text)):
        # A plus sign that is not encoded in a URL arrives as a space.
        hint = " A '+' in a URL is written %2B." if " " in text else ""
        raise ValueError(f"Expected a date like 2026-11-01, or a time like 2026-11-01T00:00:00Z.{hint}")
    try:
        moment = datetime.fromisoformat(text.upper())
        at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        at_ms = int(at.timestamp()) * 1000 + at.microsecond // 1000
    except (ValueError, OverflowError) as error:
        raise ValueError("There is no such day or time.") from error
    if not _FIRST_MS <= at_ms <= _LAST_MS:
        raise ValueError("Expected a time from 1970 to 2199.")
    return at_ms


def rfc3339(at_ms: int) -> str:
    """Seconds, and milliseconds where there are any."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds").replace("+00:00", "Z")
