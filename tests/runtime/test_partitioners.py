"""Which partition a request goes to."""

from collections import Counter

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from runtime.kafka.partitioners import REMEMBERED_KEYS, SLICE_MS, RememberingPartitioner, StickyPartitioner
from tests.fakes.clock import HandClock

PARTITIONS = list(range(12))


def test_records_of_one_slice_share_a_partition_and_the_next_slice_has_the_next() -> None:
    clock = HandClock(now_ms=SLICE_MS * 1000)
    partitioner = StickyPartitioner(clock, 0)
    chosen = []
    for _ in range(3 * SLICE_MS):
        chosen.append(partitioner(None, PARTITIONS, PARTITIONS))
        clock.move(0.001)
    first = chosen[0]
    assert chosen == [first] * SLICE_MS + [(first + 1) % 12] * SLICE_MS + [(first + 2) % 12] * SLICE_MS


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_over_one_round_every_partition_gets_the_same(start: int, count: int) -> None:
    clock = HandClock()
    partitioner = StickyPartitioner(clock, start)
    chosen: Counter[int] = Counter()
    for _ in range(count * SLICE_MS):
        chosen[partitioner(None, PARTITIONS[:count], PARTITIONS[:count])] += 1
        clock.move(0.001)
    assert chosen == dict.fromkeys(range(count), SLICE_MS)


def test_replicas_do_not_march_in_step() -> None:
    clock = HandClock()
    assert {StickyPartitioner(clock, start)(None, PARTITIONS, PARTITIONS) for start in range(12)} == set(PARTITIONS)


@pytest.mark.parametrize("available", [[3], [2, 7]])
def test_a_partition_without_a_leader_is_passed_over(available: list[int]) -> None:
    clock = HandClock()
    partitioner = StickyPartitioner(clock, 0)
    chosen = set()
    for _ in range(10 * SLICE_MS):
        chosen.add(partitioner(None, PARTITIONS, available))
        clock.move(0.001)
    assert chosen == set(available)


def test_without_any_leader_a_record_still_gets_a_partition() -> None:
    assert StickyPartitioner(HandClock(), 5)(None, PARTITIONS, []) in PARTITIONS


@given(st.binary(min_size=1), st.integers(0, 100))
def test_a_key_keeps_its_partition_whatever_the_time(key: bytes, start: int) -> None:
    clock = HandClock()
    partitioner = StickyPartitioner(clock, start)
    before = partitioner(key, PARTITIONS, PARTITIONS)
    clock.move(1)
    assert partitioner(key, PARTITIONS, PARTITIONS) == before == DefaultPartitioner()(key, PARTITIONS, PARTITIONS)


@given(st.lists(st.binary(max_size=20), max_size=30), st.integers(1, 12))
def test_a_key_has_the_partition_that_aiokafka_gives_it_each_time(keys: list[bytes], count: int) -> None:
    remembering, plain = RememberingPartitioner(), DefaultPartitioner()
    for key in keys + keys:
        assert remembering(key, PARTITIONS[:count], PARTITIONS[:count]) == plain(key, PARTITIONS[:count], [])


def test_what_is_remembered_is_bounded() -> None:
    remembering = RememberingPartitioner()
    for number in range(REMEMBERED_KEYS + 10):
        remembering(str(number).encode(), [0], [0])
    assert len(remembering._known) <= REMEMBERED_KEYS
