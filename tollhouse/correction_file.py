"""What a vendor says that single calls used or cost, as CSV. Pure.

Columns: `attempt_id`, and any of the counts of tokens or `cost_usd`. An empty value leaves a count as it is.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from billing_consumer.rows import MAX_COST_PICO_USD, MAX_COUNT
from schemas.money import usd_to_pico

ID = "attempt_id"
COST = "cost_usd"
TOKENS = {
    "input_tokens": "input",
    "cached_input_tokens": "cached_input",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
}
"""Column → field of schemas.usage.TokenCounts."""

# A thirteenth decimal is no pico-dollar, and an exponent is what a spreadsheet makes of an amount that it has rounded.
_EXACT_USD = re.compile(r"[0-9]{1,30}(\.[0-9]{1,12})?", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """`tokens`: what is given, by field of TokenCounts. At least one figure is given."""

    number: int
    attempt_id: str
    tokens: Mapping[str, int]
    cost_pico_usd: int | None


class InvalidCorrections(Exception):
    """Everything that is wrong, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_corrections(lines: Iterable[str], problems: list[str]) -> list[CorrectionLine]:
    """What could be read; what could not is added to `problems`, each with its line."""
    reader = csv.reader(lines, strict=True)
    before = len(problems)
    read: list[CorrectionLine] = []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        problems += _header_problems(header)
        if len(problems) > before:
            return []
        for values in reader:
            if any(value.strip() for value in values):
                line = _line(header, values, reader.line_num, problems)
                read += [line] if line is not None else []
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")
    first: dict[str, int] = {}
    for line in read:
        number = first.setdefault(line.attempt_id, line.number)
        if number != line.number:
            problems.append(f"line {line.number}: {line.attempt_id} is in line {number} already")
    if not read and len(problems) == before:
        problems.append("line 2: there are no corrections")
    return read


def _header_problems(header: list[str]) -> list[str]:
    known = (ID, *TOKENS, COST)
    problems = [] if ID in header else [f"line 1: there is no column '{ID}'"]
    problems += [
        f"line 1: unknown column '{name}': known are {', '.join(known)}" for name in header if name not in known
    ]
    return problems + [f"line 1: the column '{name}' is there twice" for name in known if header.count(name) > 1]


def _line(header: list[str], values: list[str], number: int, problems: list[str]) -> CorrectionLine | None:
    if len(values) != len(header):
        problems.append(f"line {number}: {len(values)} values for {len(header)} columns")
        return None
    given = {name: value.strip() for name, value in zip(header, values, strict=True) if value.strip()}
    before = len(problems)
    tokens: dict[str, int] = {}
    for column, field in TOKENS.items():
        text = given.get(column)
        if text is None:
            continue
        if not _COUNT.fullmatch(text) or int(text) > MAX_COUNT:
            problems.append(f"line {number}: {column} '{text}': expected a number of tokens")
        else:
            tokens[field] = int(text)
    cost_pico_usd = None
    if COST in given:
        text = given[COST]
        if not _EXACT_USD.fullmatch(text) or usd_to_pico(text) > MAX_COST_PICO_USD:
            problems.append(f"line {number}: {COST} '{text}': expected an amount like 0.0123, of at most 12 decimals")
        else:
            cost_pico_usd = usd_to_pico(text)
    if ID not in given:
        problems.append(f"line {number}: {ID} is empty")
    elif len(given) == 1:
        problems.append(f"line {number}: neither tokens nor {COST} are given")
    if len(problems) > before:
        return None
    return CorrectionLine(number, given[ID], tokens, cost_pico_usd)
