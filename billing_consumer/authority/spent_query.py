"""What a ledger has spent before its authority opens it: the query. Pure.

It must count exactly what settlements count, by the same rule and up to the same offset: a report that was in both
would be charged twice, one in neither would be free. So scopes are spelled as `schemas.budgets.scopes_of` spells them,
and a day is the UTC day of acceptance.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from schemas.budgets import Period, ScopeKind

SCOPES_PER_QUERY = 500
"""ClickHouse refuses a query text above 256 KiB by default; a scope may have 700 characters."""

STARTED_BEFORE_ACCEPTED = timedelta(days=1)
"""An attempt starts after its request was accepted, by another host's clock. Far more than clocks disagree: the table
is partitioned by the start, so this only has to spare the query the months and years before the period."""

_SCOPE_EXPRESSIONS: dict[ScopeKind, str] = {
    "organization": "organization_id",
    "project": "project_id",
    "api_key": "api_key_id",
    "customer": "if(customer_id = '', '', concat(organization_id, '/', customer_id))",
    # Distinct: {"a": "b=c", "a=b": "c"} is the same scope twice, and a settlement has it once.
    "tag": (
        "arrayJoin(arrayDistinct(arrayMap("
        "(k, v) -> concat(organization_id, '/', k, '=', v), mapKeys(tags), mapValues(tags))))"
    ),
}


class OpeningRequest(NamedTuple):
    """A ledger to be opened. through: by partition of `usage`, the offset below which rows count."""

    ledger_id: str
    scope_kind: ScopeKind
    scope: str
    period: Period
    through: Mapping[int, int]


class SpentQuery(NamedTuple):
    """One query for several ledgers. Its rows are (name, spent in USD); `openings` by name; no row means nothing."""

    text: str
    parameters: dict[str, Any]
    openings: dict[str, list[OpeningRequest]]


def spent_queries(openings: Iterable[OpeningRequest]) -> list[SpentQuery]:
    """As few queries as it takes: one for all openings of one kind, period and position."""
    alike: dict[tuple[ScopeKind, Period, tuple[tuple[int, int], ...]], list[OpeningRequest]] = defaultdict(list)
    for opening in openings:
        alike[(opening.scope_kind, opening.period, tuple(sorted(opening.through.items())))].append(opening)
    return [
        _query(kind, period, through, group[first : first + SCOPES_PER_QUERY])
        for (kind, period, through), group in alike.items()
        for first in range(0, len(group), SCOPES_PER_QUERY)
    ]


def _query(
    kind: ScopeKind, period: Period, through: Sequence[tuple[int, int]], openings: Sequence[OpeningRequest]
) -> SpentQuery:
    start = datetime.combine(period.start, datetime.min.time(), UTC)
    end = min(datetime.combine(period.end, datetime.min.time(), UTC), _LAST_TIME)
    by_name: dict[str, list[OpeningRequest]] = defaultdict(list)
    for opening in openings:
        by_name[opening.scope.partition(":")[2]].append(opening)
    # In a subquery: a row has several tags, and each of them is a scope.
    text = (
        "SELECT scope_name, sum(sign * cost_usd) FROM ("
        f"SELECT {_SCOPE_EXPRESSIONS[kind]} AS scope_name, sign, cost_usd FROM attempts"
        f" WHERE accepted_at >= {_time(start)} AND accepted_at < {_time(end)}"
        f" AND started_at >= {_time(max(start - STARTED_BEFORE_ACCEPTED, _EPOCH))}"
        f" AND {_below(through)}"
        ") WHERE scope_name IN %(names)s GROUP BY scope_name"
    )
    return SpentQuery(text, {"names": sorted(by_name)}, dict(by_name))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# ClickHouse's DateTime64 ends soon after; the period of a total budget does not.
_LAST_TIME = datetime(2262, 1, 1, tzinfo=UTC)


def _time(at: datetime) -> str:
    return f"fromUnixTimestamp64Milli({int(at.timestamp()) * 1000:d}, 'UTC')"


def _below(through: Sequence[tuple[int, int]]) -> str:
    """A partition that is not named has nothing that counts."""
    known = [(partition, end) for partition, end in through if end > 0]
    if not known:
        return "0"
    partitions = ", ".join(f"{partition:d}" for partition, _ in known)
    ends = ", ".join(f"{end:d}" for _, end in known)
    return (
        f"kafka_offset < transform(kafka_partition, CAST([{partitions}] AS Array(UInt32)),"
        f" CAST([{ends}] AS Array(UInt64)), toUInt64(0))"
    )
