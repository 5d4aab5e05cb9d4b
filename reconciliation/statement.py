"""A vendor's own bill as CSV, and how it is compared with ours. Pure.

Columns: `vendor`, `day` (2026-11-30, UTC), `cost_usd`; if wanted `model` (the vendor's name of it) and `requests`.
Several lines about the same are added up. A vendor's day is either told by model or as a whole.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from reconciliation.compare import COST, Difference
from schemas.money import usd_to_pico

REQUIRED = ("vendor", "day", "cost_usd")
OPTIONAL = ("model", "requests")


class Bill(NamedTuple):
    """`model` is empty for a whole day. requests: None where the statement does not count them."""

    cost_pico_usd: int
    requests: int | None


BillKey = tuple[str, str, str]
"""vendor, day (ISO), model"""


class InvalidStatement(Exception):
    """Everything that is wrong with it, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Line:
    key: BillKey
    bill: Bill


def read_statement(lines: Iterable[str]) -> dict[BillKey, Bill]:
    """Raises InvalidStatement."""
    problems: list[str] = []
    reader = csv.reader(lines, strict=True)
    read: list[tuple[int, _Line]] = []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        problems += _header_problems(header)
        if not problems:
            for values in reader:
                if any(value.strip() for value in values):
                    line = _line(header, values, reader.line_num, problems)
                    read += [(reader.line_num, line)] if line is not None else []
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")
    problems += _mixed(read)
    if problems:
        raise InvalidStatement(problems)
    bills: dict[BillKey, Bill] = {}
    for _, line in read:
        bills[line.key] = _sum(bills.get(line.key), line.bill)
    return bills


def statement_differences(
    check: str,
    statement: Mapping[BillKey, Bill],
    ours: Mapping[BillKey, Bill],
    tolerance_pico_usd: int,
) -> list[Difference]:
    """`ours`: by vendor, day and vendor's model. What we have of a vendor that its statement does not mention is a
    difference too; vendors that it does not name are not its business."""
    whole_days = {(vendor, day) for vendor, day, model in statement if not model}
    folded: dict[BillKey, Bill] = {}
    for (vendor, day, model), bill in ours.items():
        key = (vendor, day, "" if (vendor, day) in whole_days else model)
        folded[key] = _sum(folded.get(key), bill)
    vendors = {vendor for vendor, _, _ in statement}
    found = []
    for key in sorted({*statement, *(key for key in folded if key[0] in vendors)}):
        theirs, mine = statement.get(key, Bill(0, None)), folded.get(key, Bill(0, 0))
        where = " ".join(part for part in key if part)
        if abs(mine.cost_pico_usd - theirs.cost_pico_usd) > tolerance_pico_usd:
            amounts = ("statement", theirs.cost_pico_usd, "attempts", mine.cost_pico_usd)
            found.append(Difference(check, where, COST, *amounts))
        if theirs.requests is not None and theirs.requests != mine.requests:
            counts = ("statement", theirs.requests, "attempts", mine.requests or 0)
            found.append(Difference(check, where, "requests", *counts))
    return found


def _header_problems(header: list[str]) -> list[str]:
    known = (*REQUIRED, *OPTIONAL)
    problems = [f"line 1: there is no column '{name}'" for name in REQUIRED if name not in header]
    problems += [
        f"line 1: unknown column '{name}': known are {', '.join(known)}" for name in header if name not in known
    ]
    problems += [f"line 1: the column '{name}' is there twice" for name in known if header.count(name) > 1]
    return problems


def _line(header: list[str], values: list[str], number: int, problems: list[str]) -> _Line | None:
    if len(values) != len(header):
        problems.append(f"line {number}: {len(values)} values for {len(header)} columns")
        return None
    given = {name: value.strip() for name, value in zip(header, values, strict=True)}
    before = len(problems)
    if not given["vendor"]:
        problems.append(f"line {number}: vendor is empty")
    cost_pico_usd = requests = None
    try:
        date.fromisoformat(given["day"])
    except ValueError:
        problems.append(f"line {number}: day '{given['day']}': expected a date like 2026-11-30")
    else:
        if len(given["day"]) != len("2026-11-30"):
            problems.append(f"line {number}: day '{given['day']}': expected a date like 2026-11-30")
    try:
        cost_pico_usd = usd_to_pico(given["cost_usd"])
    except ValueError:
        problems.append(f"line {number}: cost_usd '{given['cost_usd']}': expected an amount in USD like 12.50")
    text = given.get("requests", "")
    if text and not (text.isascii() and text.isdigit()):
        problems.append(f"line {number}: requests '{text}': expected a number")
    elif text:
        requests = int(text)
    if len(problems) > before or cost_pico_usd is None:
        return None
    return _Line((given["vendor"], given["day"], given.get("model", "")), Bill(cost_pico_usd, requests))


def _mixed(read: list[tuple[int, _Line]]) -> list[str]:
    kinds: dict[tuple[str, str], bool] = {}
    problems = []
    for number, line in read:
        vendor, day, model = line.key
        if kinds.setdefault((vendor, day), bool(model)) != bool(model):
            problems.append(f"line {number}: {vendor} on {day} is told both by model and as a whole")
    return problems


def _sum(one: Bill | None, other: Bill) -> Bill:
    if one is None:
        return other
    requests = None if one.requests is None or other.requests is None else one.requests + other.requests
    return Bill(one.cost_pico_usd + other.cost_pico_usd, requests)
