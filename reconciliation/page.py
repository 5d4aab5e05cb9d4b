"""How the outcome is printed: each difference on a line, then one line per check. Pure."""

from collections.abc import Sequence

from reconciliation.compare import COST, Checked, Difference
from schemas.money import format_usd


def page(checks: Sequence[Checked]) -> str:
    rows = [_cells(difference) for checked in checks for difference in checked.differences]
    lines = _aligned(rows)
    if lines:
        lines.append("")
    summary = [
        (
            checked.check,
            f"{checked.compared} {checked.what}",
            "no difference" if not checked.differences else f"{len(checked.differences)} different",
            checked.note,
        )
        for checked in checks
    ]
    return "\n".join([*lines, *_aligned(summary), "", _verdict(len(rows))]) + "\n"


def _cells(difference: Difference) -> tuple[str, ...]:
    def shown(amount: int) -> str:
        return format_usd(amount) if difference.measure == COST else str(amount)

    by = shown(difference.by)
    return (
        difference.check,
        difference.where,
        difference.measure,
        f"{difference.left_name} {shown(difference.left)}",
        f"{difference.right_name} {shown(difference.right)}",
        f"difference {by if difference.by < 0 else f'+{by}'}",
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _verdict(count: int) -> str:
    if count == 0:
        return "The account adds up: no difference."
    return f"{count} difference{'s' if count > 1 else ''}."
