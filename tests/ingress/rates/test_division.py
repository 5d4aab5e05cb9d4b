"""Parts of a limit: never more than it together, and in proportion to demand."""

from hypothesis import given
from hypothesis import strategies as st

from ingress.rates.division import FLOOR_PART, TURN_STEPS, even_part, part_by_demand


def parts_by_demand(limit: int, demands: list[int], turn: int) -> list[int]:
    return [part_by_demand(limit, demands, rank, turn) for rank in range(len(demands))]


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=9), st.integers(0, 10**9))
def test_parts_are_the_whole_and_each_is_its_proportion_rounded(limit: int, demands: list[int], turn: int) -> None:
    parts = parts_by_demand(limit, demands, turn)
    floor = limit // (FLOOR_PART * len(demands))
    assert sum(parts) == limit
    rest, total = limit - floor * len(demands), sum(demands)
    for part, demand in zip(parts, demands, strict=True):
        assert part >= floor
        if total:
            # Within one of the exact proportion.
            assert abs((part - floor) * total - rest * demand) < total + total // TURN_STEPS + 1


@given(st.integers(0, 10**6), st.integers(1, 9), st.data())
def test_even_parts_are_the_whole_and_a_newcomer_only_makes_them_smaller(
    limit: int, count: int, data: st.DataObject
) -> None:
    before = [even_part(limit, count, rank) for rank in range(count)]
    assert sum(before) == limit
    place = data.draw(st.integers(0, count))
    after = [even_part(limit, count + 1, rank) for rank in range(count + 1) if rank != place]
    assert all(new <= old for new, old in zip(after, before, strict=True))


def test_what_cannot_be_divided_goes_round_by_demand() -> None:
    turns = 300
    had = [0, 0, 0]
    for turn in range(turns):
        for number, part in enumerate(parts_by_demand(1, [2, 1, 0], turn)):
            had[number] += part
    assert sum(had) == turns
    assert abs(had[0] - 200) <= 2
    assert had[2] == 0


def test_golden_parts() -> None:
    assert parts_by_demand(1000, [0, 0], 0) == [500, 500]
    assert parts_by_demand(1000, [10, 0], 0) == [950, 50]
    assert parts_by_demand(100, [3, 1, 0], 0) == [71, 26, 3]
    assert parts_by_demand(3, [1, 0, 0], 0) == [3, 0, 0]
