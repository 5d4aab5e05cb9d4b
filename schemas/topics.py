"""Every Kafka topic: who writes it, who reads it, how long it is kept. The only list of topic names.

The names here are logical; `runtime.kafka.topic_name` puts the configured prefix before them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    REQUESTS = "requests"
    USAGE = "usage"
    SPEND = "spend"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is created. `retention_ms` is ignored by Kafka where the topic is compacted."""

    topic: Topic
    key: str
    carries: str
    partitions: int
    retention_ms: int
    compacted: bool = False
    max_message_bytes: int = 1_048_588

    def config(self) -> dict[str, str]:
        """Topic settings in Kafka's own names."""
        config = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.compacted:
            # Small segments: a compacted topic is read whole at every start, so it should stay near one record a key.
            config |= {"segment.ms": str(10 * _MINUTE_MS), "min.cleanable.dirty.ratio": "0.1"}
        else:
            config["retention.ms"] = str(self.retention_ms)
        return config


_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS

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
        TopicSpec(Topic.USAGE, "project", "vendor attempts and finished requests", 12, 7 * _DAY_MS),
        TopicSpec(Topic.SPEND, "scope and its id", "what a budget scope has spent", 4, 0, compacted=True),
        TopicSpec(Topic.DEAD_LETTER, "source topic", "records that cannot be decoded, and why", 1, 14 * _DAY_MS),
    )
}

ENVELOPE_HEADER = "envelope"
"""Name of the one Kafka header on a `requests` record; its value is a `RequestEnvelope`."""
