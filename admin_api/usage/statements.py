"""A question about usage → SQL. Pure.

Everything is read from `attempts`, by the time of acceptance. The rollups are not enough: none of them has the number
of requests, or which part of a cost is an upper bound. Every sum is weighted by `sign` (billing_consumer's
migrations), so a report that was superseded counts for nothing.
"""

from dataclasses import dataclass
from typing import Any

from admin_api.usage.query import TAG, Granularity, UsageQuestion

_PERIODS: dict[Granularity, str] = {
    "hour": "toUnixTimestamp(toStartOfHour(accepted_at))",
    "day": "toUnixTimestamp(toStartOfDay(accepted_at))",
    # From a Date, which has no zone: it must not become midnight in the server's.
    "week": "toUnixTimestamp(toDateTime(toStartOfWeek(accepted_at, 1), 'UTC'))",
    "month": "toUnixTimestamp(toDateTime(toStartOfMonth(accepted_at), 'UTC'))",
}

_COLUMNS = {
    "organization": "organization_id",
    "project": "project_id",
    "api_key": "api_key_id",
    "customer": "customer_id",
    "model": "model",
    "vendor": "vendor",
    # There is one policy today; requests do not tell it.
    "policy": "'default'",
}

_FIGURES = """
    uniqExactIf(request_id, sign = 1 AND (attempt_id, delivery, origin) NOT IN (
        SELECT attempt_id, delivery, origin FROM attempts WHERE sign = -1 AND {range}
    )) AS figure_requests,
    sum(toInt64(sign)) AS figure_attempts,
    sum(sign * toInt64(input_tokens)) AS figure_input_tokens,
    sum(sign * toInt64(cached_input_tokens)) AS figure_cached_input_tokens,
    sum(sign * toInt64(output_tokens)) AS figure_output_tokens,
    sum(sign * cost_usd) AS figure_cost_usd,
    sumIf(sign * cost_usd, estimated) AS figure_estimated_cost_usd"""

_RANGE = (
    "accepted_at >= fromUnixTimestamp64Milli({start_ms:Int64})"
    " AND accepted_at < fromUnixTimestamp64Milli({end_ms:Int64})"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """`{name:Type}` in the SQL is a parameter."""

    sql: str
    parameters: dict[str, Any]


def rows_statement(question: UsageQuestion, limit: int) -> Statement:
    """Columns: period_start_s (unix), g0, g1, … (the groups' values), figure_…; in order of the first ones."""
    conditions, parameters = _where(question)
    period = _PERIODS.get(question.granularity, "intDiv({start_ms:Int64}, 1000)")
    selected = [f"toInt64({period}) AS period_start_s"]
    for number, name in enumerate(question.group_by):
        if name.startswith(TAG):
            parameters[f"group{number}"] = name[len(TAG) :]
            selected.append(f"toString(tags[{{group{number}:String}}]) AS g{number}")
        else:
            selected.append(f"toString({_COLUMNS[name]}) AS g{number}")
    keys = ["period_start_s", *(f"g{number}" for number in range(len(question.group_by)))]
    # A group whose every report was taken back has nothing left to tell.
    having = ["(figure_attempts != 0 OR figure_cost_usd != 0)"]
    if question.after is not None:
        having.append(f"({', '.join(keys)}) > ({', '.join(_after(question, parameters))})")
    parameters["row_limit"] = limit
    sql = (
        f"SELECT {', '.join(selected)},{_FIGURES.format(range=_RANGE)} FROM attempts WHERE {conditions}"
        f" GROUP BY {', '.join(keys)} HAVING {' AND '.join(having)}"
        f" ORDER BY {', '.join(keys)} LIMIT {{row_limit:UInt64}}"
    )
    return Statement(sql, parameters)


def total_statement(question: UsageQuestion) -> Statement:
    """One row with the figures of the whole range. Not a sum of rows: a request may be in several of them."""
    conditions, parameters = _where(question)
    return Statement(f"SELECT {_FIGURES.format(range=_RANGE)} FROM attempts WHERE {conditions}", parameters)


def _where(question: UsageQuestion) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {"start_ms": question.start_ms, "end_ms": question.end_ms}
    conditions = [_RANGE]
    for name, value in question.filters.items():
        conditions.append(f"{_COLUMNS[name]} = {{{name}:String}}")
        parameters[name] = value
    if question.tag is not None:
        parameters["tag_key"], parameters["tag_value"] = question.tag
        conditions.append("mapContains(tags, {tag_key:String}) AND tags[{tag_key:String}] = {tag_value:String}")
    return " AND ".join(conditions), parameters


def _after(question: UsageQuestion, parameters: dict[str, Any]) -> list[str]:
    assert question.after is not None
    parameters["after_s"] = question.after.period_start_s
    terms = ["{after_s:Int64}"]
    for number, value in enumerate(question.after.values):
        parameters[f"after{number}"] = value
        terms.append(f"{{after{number}:String}}")
    return terms
