"""A question about usage: parameters → one checked `UsageQuestion`. Pure."""

import base64
import binascii
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from admin_api.operation import invalid
from admin_api.usage.times import parse_time

Granularity = Literal["hour", "day", "week", "month", "total"]
Format = Literal["json", "csv"]

MAX_DAYS = 366
MAX_GROUPS = 8
DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
TAG = "tag:"
DIMENSIONS = ("organization", "project", "api_key", "customer", "model", "vendor", "policy")
"""What can be grouped and filtered by, besides tags."""

_DAY_MS = 86_400_000
_Value = Annotated[str, Meta(max_length=400)]


class UsageParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`start`, `end`: RFC 3339 times or dates, UTC; the end is not part of the range; without them, from the first of
    this month to the end of today. They are about when requests were accepted. `group_by`: names with commas; a tag is
    "tag:<key>". The rest narrows the range; `tag` is "<key>=<value>", and an empty `customer` means those without one.
    """

    start: str | None = None
    end: str | None = None
    group_by: Annotated[str, Meta(max_length=1000)] = ""
    granularity: Granularity = "total"
    organization: _Value | None = None
    project: _Value | None = None
    api_key: _Value | None = None
    customer: _Value | None = None
    model: _Value | None = None
    vendor: _Value | None = None
    policy: _Value | None = None
    tag: _Value | None = None
    format: Format = "json"
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | None = None
    cursor: Annotated[str, Meta(max_length=8000)] | None = None


class Position(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor holds: the range, so that "today" stays the same day from page to page, and the last row."""

    start_ms: int
    end_ms: int
    question: int
    period_start_s: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """filters: dimension → value. tag: key and value. after: the last row of the page before. question: tells a cursor
    of another question from one of this."""

    start_ms: int
    end_ms: int
    group_by: tuple[str, ...]
    granularity: Granularity
    filters: dict[str, str]
    tag: tuple[str, str] | None
    limit: int
    after: Position | None
    question: int


def read_question(parameters: UsageParameters, organization_id: str | None, now_ms: int) -> UsageQuestion:
    """`organization_id`: the only one that the caller may see. Raises Refusal, naming the parameter."""
    filters = {name: value for name in DIMENSIONS if (value := getattr(parameters, name)) is not None}
    if organization_id is not None and filters.setdefault("organization", organization_id) != organization_id:
        raise invalid("organization", "This management key sees another organization only.")
    group_by = _groups(parameters.group_by)
    tag = _tag(parameters.tag)
    if parameters.format == "csv" and (parameters.limit is not None or parameters.cursor is not None):
        raise invalid("limit" if parameters.limit is not None else "cursor", "CSV comes whole, without pages.")
    asked = (group_by, parameters.granularity, sorted(filters.items()), tag, parameters.start, parameters.end)
    question = zlib.crc32(repr(asked).encode("utf-8", "surrogatepass"))
    after = _position(parameters.cursor, question, len(group_by))
    start_ms, end_ms = (after.start_ms, after.end_ms) if after else _range(parameters, now_ms)
    if end_ms <= start_ms:
        raise invalid("end", "The end must be after the start.")
    if end_ms - start_ms > MAX_DAYS * _DAY_MS:
        raise invalid("start", f"At most {MAX_DAYS} days can be asked for at once.")
    return UsageQuestion(
        start_ms=start_ms,
        end_ms=end_ms,
        group_by=group_by,
        granularity=parameters.granularity,
        filters=filters,
        tag=tag,
        limit=parameters.limit or DEFAULT_LIMIT,
        after=after,
        question=question,
    )


def cursor_after(question: UsageQuestion, period_start_s: int, values: tuple[str, ...]) -> str:
    """The cursor of the page that begins after this row."""
    position = Position(question.start_ms, question.end_ms, question.question, period_start_s, values)
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _range(parameters: UsageParameters, now_ms: int) -> tuple[int, int]:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end_ms = _time("end", parameters.end, now_ms - now_ms % _DAY_MS + _DAY_MS)
    return _time("start", parameters.start, int(first.timestamp()) * 1000), end_ms


def _time(name: str, text: str | None, default_ms: int) -> int:
    if text is None:
        return default_ms
    try:
        return parse_time(text)
    except ValueError as error:
        raise invalid(name, str(error)) from error


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    for name in names:
        if name not in DIMENSIONS and not (name.startswith(TAG) and len(name) > len(TAG)):
            raise invalid("group_by", f"Expected some of {', '.join(DIMENSIONS)}, {TAG}<key>, with commas.")
    if len(set(names)) < len(names):
        raise invalid("group_by", "A name is there twice.")
    if len(names) > MAX_GROUPS:
        raise invalid("group_by", f"At most {MAX_GROUPS} names.")
    return names


def _tag(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise invalid("tag", "Expected <key>=<value>.")
    return key, value


def _position(cursor: str | None, question: int, groups: int) -> Position | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=Position)
    except (binascii.Error, ValueError) as error:
        raise invalid("cursor", "This is no cursor of ours: give next_cursor as it came.") from error
    in_range = all(0 <= number < 2**53 for number in (position.start_ms, position.end_ms, position.period_start_s))
    if position.question != question or len(position.values) != groups or not in_range:
        raise invalid("cursor", "This cursor belongs to another question: leave all other parameters as they were.")
    return position
