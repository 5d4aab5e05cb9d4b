"""A vendor's CSV: read exactly, or refused with every problem's line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.statement import Bill, InvalidStatement, read_statement, statement_differences
from schemas.money import format_usd


def read(text: str) -> dict[tuple[str, str, str], Bill]:
    return read_statement(text.splitlines(keepends=True))


def test_lines_about_the_same_are_added_up() -> None:
    text = "Day, vendor ,cost_usd,model,requests\n2026-11-10,v1,0.1,m,2\n2026-11-10,v1,0.2,m,3\n\n2026-11-11,v1,-1,m,\n"
    assert read(text) == {
        ("v1", "2026-11-10", "m"): Bill(300_000_000_000, 5),
        ("v1", "2026-11-11", "m"): Bill(-(10**12), None),
    }


def test_all_that_is_wrong_is_told_at_once_by_line() -> None:
    text = (
        "vendor,day,model,cost_usd,requests\n"
        "v1,2026-11-10,m,1.5,3\n"
        ",2026-13-10,m,$1,-3\n"
        "v1,20261110,m,1e999,many\n"
        "v1,2026-11-10,m,2\n"
        "v1,2026-11-10,,2,1\n"
    )
    with pytest.raises(InvalidStatement) as refused:
        read(text)
    lines = [problem.partition(":")[0] for problem in refused.value.problems]
    assert lines == ["line 3"] * 4 + ["line 4"] * 3 + ["line 5", "line 6"]
    assert "both by model and as a whole" in refused.value.problems[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no column 'vendor'"),
        ("vendor,day\n", "there is no column 'cost_usd'"),
        ("vendor,day,cost_usd,colour\n", "unknown column 'colour'"),
        ("vendor,day,cost_usd,day\n", "the column 'day' is there twice"),
        ('vendor,day,cost_usd\n"v1,2026-11-10,1', "line 2:"),
    ],
)
def test_a_file_that_is_no_statement_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidStatement) as refused:
        read(text)
    assert any(said in problem for problem in refused.value.problems)


bills = st.dictionaries(
    st.tuples(st.sampled_from(("v1", "v2")), st.sampled_from(("2026-11-10", "2026-11-11")), st.sampled_from("ab")),
    st.integers(1, 10**24),
    max_size=6,
)


@given(bills, st.integers(0, 3))
def test_a_statement_of_our_own_figures_has_no_difference(
    costs: dict[tuple[str, str, str], int], tolerance_pico_usd: int
) -> None:
    lines = [f"{vendor},{day},{model},{format_usd(cost)}\n" for (vendor, day, model), cost in costs.items()]
    by_model = read_statement(["vendor,day,model,cost_usd\n", *lines])
    ours = {key: Bill(cost, 7) for key, cost in costs.items()}
    assert statement_differences("s", by_model, ours, 0) == []
    by_day = read_statement(
        ["vendor,day,cost_usd\n", *(f"{vendor},{day},{format_usd(cost)}\n" for (vendor, day, _), cost in costs.items())]
    )
    assert statement_differences("s", by_day, ours, 0) == []
    # One of them off by one more than may be.
    for key, cost in list(costs.items())[:1]:
        off = ours | {key: Bill(cost + tolerance_pico_usd + 1, 7)}
        (found,) = statement_differences("s", by_model, off, tolerance_pico_usd)
        assert found.by == tolerance_pico_usd + 1
        assert statement_differences("s", by_model, off, tolerance_pico_usd + 1) == []
