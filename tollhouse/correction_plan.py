"""Corrections and what stands → the usage records that correct it. Pure.

A correction repeats all that its attempt's row says (whose it is, when it was accepted, which leases paid) with other
figures. It can so be told from what it corrects by its origin and its figures only, and moves the cost in the very
budgets and period in which it was counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from billing_consumer.rows import MAX_COST_PICO_USD
from billing_consumer.tables import ATTEMPTS, Row
from router_worker.rating import FREE, consistent, cost_pico_usd
from schemas.catalogue import Catalogue, Price
from schemas.envelope import Attribution
from schemas.money import format_usd, usd_to_pico
from schemas.usage import AttemptEvent, TokenCounts, UsageRecord
from tollhouse.correction_file import TOKENS, CorrectionLine, InvalidCorrections


@dataclass(frozen=True, slots=True)
class Correction:
    """`partition`, `offset`: the place in `usage` of what it corrects. `changes`: False if that says the same."""

    number: int
    record: UsageRecord
    old_cost_pico_usd: int
    partition: int
    offset: int
    changes: bool

    @property
    def attempt_id(self) -> str:
        return self.record.attempts[0].attempt_id

    @property
    def cost_pico_usd(self) -> int:
        return self.record.attempts[0].cost_pico_usd


class _Wrong(Exception):
    """Why a line cannot be a correction."""


def plan_corrections(
    lines: Iterable[CorrectionLine], standing: Mapping[str, Row], catalogue: Catalogue
) -> list[Correction]:
    """`standing`: by attempt id, the row that stands. Raises InvalidCorrections."""
    problems: list[str] = []
    planned: list[Correction] = []
    for line in lines:
        row = standing.get(line.attempt_id)
        try:
            if row is None:
                raise _Wrong("there is no such attempt in ClickHouse")
            planned.append(_plan(line, dict(zip(ATTEMPTS.column_names, row, strict=True)), catalogue))
        except _Wrong as wrong:
            problems.append(f"line {line.number}: {line.attempt_id}: {wrong}")
    if problems:
        raise InvalidCorrections(problems)
    return planned


def account(planned: Iterable[Correction]) -> str:
    """Per line the old and the new cost, and at the end the sum."""
    lines: list[str] = []
    old = new = count = 0
    for one in planned:
        old += one.old_cost_pico_usd
        new += one.cost_pico_usd
        count += one.changes
        change = _change(one.old_cost_pico_usd, one.cost_pico_usd)
        lines.append(f"line {one.number}: {one.attempt_id}: {change if one.changes else 'as it stands, left out'}")
    return "\n".join([*lines, f"{count} correction{'' if count == 1 else 's'}: {_change(old, new)}", ""])


def standing_record(row: Mapping[str, Any]) -> UsageRecord:
    """The record that a row of `attempts` was made from, as a correction without new figures."""
    event = AttemptEvent(
        **{name: row[name] for name in ("attempt_id", "attempt_no", "delivery", "worker_id", "provider", "model")},
        **{name: row[name] for name in ("vendor", "vendor_model", "outcome", "price_id", "first_byte_ms", "status")},
        started_at_ms=row["started_at"],
        ended_at_ms=row["ended_at"],
        tokens=TokenCounts(**{field: row[column] for column, field in TOKENS.items()}),
        cost_pico_usd=usd_to_pico(row["cost_usd"]),
        estimated=row["estimated"],
        failure=row["failure"] or None,
        vendor_request_id=row["vendor_request_id"] or None,
    )
    return UsageRecord(
        request_id=row["request_id"],
        origin="correction",
        attribution=Attribution(
            organization_id=row["organization_id"],
            project_id=row["project_id"],
            api_key_id=row["api_key_id"],
            customer_id=row["customer_id"] or None,
            tags=dict(row["tags"]),
        ),
        surface=row["surface"],
        streaming=row["streaming"],
        requested_model=row["requested_model"],
        attempts=(event,),
        accepted_at_ms=row["accepted_at"],
        leases=tuple(row["leases"]),
    )


def _plan(line: CorrectionLine, row: Mapping[str, Any], catalogue: Catalogue) -> Correction:
    record = standing_record(row)
    old = record.attempts[0]
    tokens = msgspec.structs.replace(old.tokens, **line.tokens)
    if row["origin"] == "correction":
        # So a file may be given again when it is not known how much of it arrived.
        if tokens != old.tokens or line.cost_pico_usd not in (None, old.cost_pico_usd):
            raise _Wrong("was corrected already, and can be only once")
        return _correction(line, row, record, old, changes=False)
    if consistent(tokens) is not tokens:
        raise _Wrong("the tokens contradict each other: a part (cached, written, reasoning) is more than its whole")
    if line.cost_pico_usd is not None:
        cost, price_id = line.cost_pico_usd, ""
    else:
        if old.estimated and not {"input", "output"} <= line.tokens.keys():
            raise _Wrong("was estimated: give input_tokens and output_tokens, or cost_usd")
        cost, price_id = cost_pico_usd(tokens, _price(old, catalogue)), old.price_id
    if cost > MAX_COST_PICO_USD:
        raise _Wrong("costs more than a single attempt can")
    new = msgspec.structs.replace(old, tokens=tokens, cost_pico_usd=cost, price_id=price_id, estimated=False)
    changes = old.estimated or (tokens, cost) != (old.tokens, old.cost_pico_usd)
    return _correction(line, row, record, new, changes=changes)


def _correction(
    line: CorrectionLine, row: Mapping[str, Any], record: UsageRecord, event: AttemptEvent, *, changes: bool
) -> Correction:
    return Correction(
        line.number,
        msgspec.structs.replace(record, attempts=(event,)),
        record.attempts[0].cost_pico_usd,
        row["kafka_partition"],
        row["kafka_offset"],
        changes,
    )


def _price(event: AttemptEvent, catalogue: Catalogue) -> Price:
    """The one that the attempt was rated at, which need not be the one in force on any day that is known here."""
    model = catalogue.find(event.model)
    for route in model.routes if model is not None else ():
        for price in (*route.prices, FREE):
            if route.price_id(price) == event.price_id:
                return price
    raise _Wrong(f"the price '{event.price_id}' is not in the catalogue: give cost_usd")


def _change(old_pico_usd: int, new_pico_usd: int) -> str:
    difference = new_pico_usd - old_pico_usd
    sign = "+" if difference > 0 else ""
    return f"{format_usd(old_pico_usd)} → {format_usd(new_pico_usd)} USD ({sign}{format_usd(difference)})"
