"""The law of offsets, on which answering once (G1) and billing once (G3) rest."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.kafka.offsets import OffsetTracker


class Tracking(RuleBasedStateMachine):
    """Records start in rising order with gaps, settle in any order (some twice), and commits succeed or not."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.started: list[int] = []
        self.open: set[int] = set()
        self.committed: int | None = None

    @initialize(first=st.integers(0, 10**12))
    def first_record(self, first: int) -> None:
        self._start(first)

    @rule(gap=st.integers(0, 5))
    def start(self, gap: int) -> None:
        self._start(self.started[-1] + 1 + gap)

    def _start(self, offset: int) -> None:
        self.tracker.start(offset)
        self.started.append(offset)
        self.open.add(offset)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.open)))
        self.tracker.settle(offset)
        self.open.discard(offset)

    @rule(data=st.data())
    def settle_again_or_never_started(self, data: st.DataObject) -> None:
        settled = sorted(set(self.started) - self.open)
        self.tracker.settle(data.draw(st.sampled_from([*settled, self.started[-1] + 1, self.started[0] - 1])))

    @rule()
    def commit(self) -> None:
        position = self.tracker.committable()
        if position is not None:
            self.tracker.committed(position)
            self.committed = position

    @invariant()
    def what_may_be_committed_is_the_first_unsettled_record_or_the_end(self) -> None:
        if not self.started:
            return
        position = self.tracker.committable()
        expected = min(self.open, default=self.started[-1] + 1)
        assert position == (None if expected == self.committed else expected)
        assert position is None or self.committed is None or position > self.committed
        assert self.tracker.unsettled == len(self.open)


TestTracking = Tracking.TestCase


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_all_settled_reaches_the_end(gaps: list[int], randomness: Random) -> None:
    offsets = [index + sum(gaps[: index + 1]) for index in range(len(gaps))]
    tracker = OffsetTracker()
    for offset in offsets:
        tracker.start(offset)
    shuffled = list(offsets)
    randomness.shuffle(shuffled)
    for offset in shuffled:
        tracker.settle(offset)
    assert tracker.committable() == offsets[-1] + 1


def test_nothing_started_is_nothing_to_commit() -> None:
    assert OffsetTracker().committable() is None


def test_a_commit_that_failed_is_offered_again() -> None:
    tracker = OffsetTracker()
    tracker.start(7)
    tracker.settle(7)
    assert tracker.committable() == 8
    assert tracker.committable() == 8
    tracker.committed(8)
    assert tracker.committable() is None


@pytest.mark.parametrize("offset", [4, 5])
def test_offsets_that_do_not_rise_are_refused(offset: int) -> None:
    tracker = OffsetTracker()
    tracker.start(5)
    with pytest.raises(ValueError, match="after 5"):
        tracker.start(offset)
