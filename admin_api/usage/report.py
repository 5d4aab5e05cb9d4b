"""Rows of ClickHouse → what the API answers, as JSON or CSV. Pure."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from admin_api.usage.query import Granularity, UsageQuestion, cursor_after
from admin_api.usage.times import rfc3339
from schemas.money import format_usd, usd_to_pico

Rows = Sequence[Mapping[str, Any]]

FIGURES = (
    "requests",
    "attempts",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "cost_usd",
    "estimated_cost_usd",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class UsageTotals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`requests`: those with at least one attempt. `cached_input_tokens` is a part of `input_tokens`, and
    `estimated_cost_usd`, where the vendor gave no figures and the cost is an upper bound, one of `cost_usd`."""

    requests: int
    attempts: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: str
    estimated_cost_usd: str


class UsageRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`period_start`: of the calendar's hour, day, week (Monday) or month, UTC; of the range itself if not divided.
    `group`: the value of each name in `group_by`, empty where there is none. The rest: as in UsageTotals."""

    period_start: str
    group: dict[str, str]
    requests: int
    attempts: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: str
    estimated_cost_usd: str


class UsageReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`total`: of the whole range, whatever the page. A request with attempts in several rows is counted in each, but
    once in the total. `next_cursor`: null on the last page."""

    start: str
    end: str
    granularity: Granularity
    group_by: tuple[str, ...]
    data: tuple[UsageRow, ...]
    total: UsageTotals
    next_cursor: str | None


def usage_report(question: UsageQuestion, rows: Rows, total: Rows) -> UsageReport:
    """`rows`: up to one more than the question's limit; that one only tells that there is another page."""
    page = rows[: question.limit]
    return UsageReport(
        start=rfc3339(question.start_ms),
        end=rfc3339(question.end_ms),
        granularity=question.granularity,
        group_by=question.group_by,
        data=tuple(UsageRow(**_place(question, row), **_figures(row)) for row in page),
        total=UsageTotals(**_figures(total[0] if total else {})),
        next_cursor=_cursor(question, page[-1]) if len(rows) > len(page) else None,
    )


def usage_csv(question: UsageQuestion, rows: Rows) -> str:
    """RFC 4180. Without a total: whoever sums a column would count it twice."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["period_start", *map(_harmless, question.group_by), *FIGURES])
    for row in rows:
        place = _place(question, row)
        figures = _figures(row)
        groups = [_harmless(value) for value in place["group"].values()]
        writer.writerow([place["period_start"], *groups, *(figures[name] for name in FIGURES)])
    return out.getvalue()


def _place(question: UsageQuestion, row: Mapping[str, Any]) -> dict[str, Any]:
    group = {name: row[f"g{number}"] for number, name in enumerate(question.group_by)}
    # An undivided range keeps its milliseconds.
    start_ms = question.start_ms if question.granularity == "total" else 1000 * int(row["period_start_s"])
    return {"period_start": rfc3339(start_ms), "group": group}


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row.get(f"figure_{name}", 0) for name in FIGURES}
    return {name: format_usd(usd_to_pico(value)) if name.endswith("_usd") else value for name, value in values.items()}


def _cursor(question: UsageQuestion, row: Mapping[str, Any]) -> str:
    values = tuple(row[f"g{number}"] for number in range(len(question.group_by)))
    return cursor_after(question, int(row["period_start_s"]), values)


def _harmless(value: str) -> str:
    """A spreadsheet would run it: clients choose the values of tags and customers."""
    return f"'{value}" if value.startswith(_FORMULA) else value
