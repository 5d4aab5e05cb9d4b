"""Fields of the admin API's JSON: money as text in USD, times as RFC 3339 in UTC. Inside they are integers. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from admin_api.operation import invalid
from schemas.money import usd_to_pico
from schemas.tenancy import RateLimit

Name = Annotated[str, Meta(max_length=256)]
Label = Annotated[str, Meta(min_length=1, max_length=256)]
# No exponents, and no more decimals than a pico-dollar has: nothing is rounded.
Usd = Annotated[str, Meta(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$", examples=["12.50"])]
SignedUsd = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]{1,12})?$")]
Time = Annotated[datetime, Meta(tz=True)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)


class LimitsPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only what is given changes; null takes a limit away."""

    requests_per_minute: RateLimit | UnsetType | None = UNSET
    tokens_per_minute: RateLimit | UnsetType | None = UNSET
    concurrent_requests: RateLimit | UnsetType | None = UNSET


class Page(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paging of a collection: `cursor` is the `next_cursor` of the page before."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: Annotated[str, Meta(max_length=700)] | None = None


def pico_of(usd: str) -> int:
    return usd_to_pico(usd)


def ms_of(at: datetime, param: str, now_ms: int) -> int:
    """Unix ms of a time to come. Raises Refusal."""
    if at >= _LAST:
        raise invalid(param, "The time must be before the year 9999.")
    at_ms = (at - _EPOCH) // timedelta(milliseconds=1)
    if at_ms <= now_ms:
        raise invalid(param, "The time must be in the future.")
    return at_ms


def time_of(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def optional_time_of(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else time_of(at_ms)
