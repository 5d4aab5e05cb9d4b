"""The list of topics, and identifiers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import attempt_id, new_id
from schemas.topics import TOPICS, Topic

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
TIMES_MS = st.integers(0, 2**48 - 1)


def test_every_topic_is_specified_under_its_own_name() -> None:
    assert set(TOPICS) == set(Topic)
    assert all(spec.topic is topic for topic, spec in TOPICS.items())


@pytest.mark.parametrize("topic", Topic)
def test_topic_settings_are_kafkas_and_either_compact_or_expire(topic: Topic) -> None:
    spec = TOPICS[topic]
    config = spec.config()
    assert config["max.message.bytes"] == str(spec.max_message_bytes)
    if spec.compacted:
        assert config["cleanup.policy"] == "compact"
        assert "retention.ms" not in config
        assert int(config["segment.ms"]) <= DAY_MS
    else:
        assert config["cleanup.policy"] == "delete"
        assert int(config["retention.ms"]) == spec.retention_ms > 0
    assert spec.partitions >= 1


def test_prompts_are_kept_for_minutes_and_money_for_days() -> None:
    # The ingress's default deadline is ten minutes: a request must outlive it, a prompt not by much.
    assert 10 * MINUTE_MS < TOPICS[Topic.REQUESTS].retention_ms <= 60 * MINUTE_MS
    assert TOPICS[Topic.USAGE].retention_ms >= 4 * DAY_MS
    assert TOPICS[Topic.SPEND].compacted
    assert TOPICS[Topic.DEAD_LETTER].retention_ms > TOPICS[Topic.USAGE].retention_ms


@given(TIMES_MS, TIMES_MS, st.integers())
def test_ids_sort_by_time(one_ms: int, other_ms: int, seed: int) -> None:
    draw = random.Random(seed).randbytes
    one, other = new_id("req", one_ms, draw), new_id("req", other_ms, draw)
    assert one_ms == other_ms or (one < other) == (one_ms < other_ms)


def test_ids_of_one_millisecond_differ_in_eighty_random_bits() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return len(asked).to_bytes(count, "big")

    assert new_id("req", 0x0193A0B1C2D3, random_bytes) == "req_0193a0b1c2d3" + "0" * 19 + "1"
    assert new_id("req", 0x0193A0B1C2D3, random_bytes) == "req_0193a0b1c2d3" + "0" * 19 + "2"
    assert asked == [10, 10]


@given(st.lists(st.tuples(st.integers(0, 2**80), st.integers(0, 1000), st.integers(0, 1000)), unique=True, max_size=30))
def test_attempts_have_different_names_and_the_same_one_everywhere(attempts: list[tuple[int, int, int]]) -> None:
    def name(drawn: int, delivery: int, number: int) -> str:
        return attempt_id(new_id("req", 1, lambda count: drawn.to_bytes(count + 1, "big")), delivery, number)

    names = [name(*attempt) for attempt in attempts]
    assert names == [name(*attempt) for attempt in attempts]
    assert len(set(names)) == len(attempts)
