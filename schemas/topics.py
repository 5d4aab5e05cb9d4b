"""Every Kafka topic: who writes it, who reads it, how long it is kept. The only list of topic names.

The names here are logical; `runtime.kafka.topic_name` puts the configured prefix before them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    REQUESTS = "requests"
    USAGE = "usage"
    SPEND_COMMANDS = "spend.commands"
    SPEND = "spend"
    CONFIG = "config"
    REPLICAS = "replicas"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is created. `retention_ms` is ignored by Kafka where the topic is compacted.

    compaction_lag_ms: how long a compacted topic keeps every record: its writer must have the time to repeat what a
    deposed one wrote over (`schemas.fencing`). broker_time: Kafka stamps the records, so that all of them, whoever
    wrote them, are on one clock. segment_ms: of a topic that is read whole at a start: what has expired goes by whole
    segments.
    """

    topic: Topic
    key: str
    carries: str
    partitions: int
    retention_ms: int
    compacted: bool = False
    max_message_bytes: int = 1_048_588
    compaction_lag_ms: int = 0
    broker_time: bool = False
    segment_ms: int | None = None

    def config(self) -> dict[str, str]:
        """Topic settings in Kafka's own names."""
        config = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.compacted:
            # Small segments: a compacted topic is read whole at every start, so it should stay near one record a key.
            config |= {"segment.ms": str(10 * _MINUTE_MS), "min.cleanable.dirty.ratio": "0.1"}
            config["min.compaction.lag.ms"] = str(self.compaction_lag_ms)
        else:
            config["retention.ms"] = str(self.retention_ms)
            if self.segment_ms is not None:
                config["segment.ms"] = str(self.segment_ms)
        if self.broker_time:
            config["message.timestamp.type"] = "LogAppendTime"
        return config


_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS

# Requests are prompts: they are kept only as long as the longest deadline could still want them.
# Usage is money: it is kept long enough to sit out an outage of ClickHouse over a long weekend.
TOPICS: dict[Topic, TopicSpec] = {
    spec.topic: spec
    for spec in (
        TopicSpec(
            Topic.REQUESTS,
            "none (spread)",
            "the client's body; the envelope as a header",
            12,
            15 * _MINUTE_MS,
        ),
        TopicSpec(Topic.USAGE, "project", "vendor attempts and finished requests", 12, 7 * _DAY_MS, broker_time=True),
        # The two go together: a scope's commands and its ledgers are in the partition of the same number.
        TopicSpec(
            Topic.SPEND_COMMANDS, "none (by scope)", "lease reports, settlements, clocks", 4, _DAY_MS, broker_time=True
        ),
        TopicSpec(
            Topic.SPEND,
            "ledger",
            "a budget's spent amount, limit and leases",
            4,
            0,
            compacted=True,
            compaction_lag_ms=_HOUR_MS,
        ),
        # Kept whole for a week, so that no change is compacted away before its audit row is in ClickHouse.
        TopicSpec(
            Topic.CONFIG,
            "entity",
            "projects, keys, budgets and who changed them",
            1,
            0,
            compacted=True,
            compaction_lag_ms=7 * _DAY_MS,
        ),
        TopicSpec(
            Topic.REPLICAS,
            "ingress",
            "each ingress's demand on rate limits",
            1,
            10 * _MINUTE_MS,
            broker_time=True,
            segment_ms=_MINUTE_MS,
        ),
        TopicSpec(Topic.DEAD_LETTER, "source topic", "records that cannot be decoded, and why", 1, 14 * _DAY_MS),
    )
}

ENVELOPE_HEADER = "envelope"
"""Name of the one Kafka header on a `requests` record; its value is a `RequestEnvelope`."""
