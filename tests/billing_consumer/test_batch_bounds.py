import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_consumer.batch_bounds import Bounds, UnreadablePlan, decode_plan, encode_plan


@given(first=st.integers(0, 2**62), size=st.integers(1, 2**31))
def test_a_plan_comes_back(first: int, size: int) -> None:
    assert decode_plan(first, encode_plan(first + size)) == first + size


def test_a_commit_without_metadata_has_no_plan() -> None:
    assert decode_plan(5, "") is None


@pytest.mark.parametrize(
    "metadata", ["somebody else's", "tollhouse-batch/2 end=9", "tollhouse-batch/1 end=", "tollhouse-batch/1 end=9 x"]
)
def test_a_plan_that_cannot_be_read_is_never_taken_for_none(metadata: str) -> None:
    with pytest.raises(UnreadablePlan, match="5"):
        decode_plan(5, metadata)


@pytest.mark.parametrize("end", [5, 4, 0])
def test_a_plan_that_ends_before_it_begins_is_refused(end: int) -> None:
    with pytest.raises(UnreadablePlan):
        decode_plan(5, encode_plan(end))


def test_tokens_tell_apart_all_that_must_be() -> None:
    base = Bounds("usage", 3, 10, 20, 1_790_000_000_000)
    others = [
        Bounds("other", 3, 10, 20, 1_790_000_000_000),
        Bounds("usage", 4, 10, 20, 1_790_000_000_000),
        Bounds("usage", 3, 11, 20, 1_790_000_000_000),
        Bounds("usage", 3, 10, 21, 1_790_000_000_000),
        Bounds("usage", 3, 10, 20, 1_790_000_000_001),
    ]
    tokens = {bounds.token(table) for bounds in [base, *others] for table in ("attempts", "requests")}
    assert len(tokens) == 12
    assert base.token("attempts") == Bounds("usage", 3, 10, 20, 1_790_000_000_000).token("attempts")
