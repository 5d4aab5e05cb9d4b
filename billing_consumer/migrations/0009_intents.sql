-- Vendor calls that were about to be made with a lease's money (schemas.usage, origin "intent"). If nobody reports on one
-- until it is due, the billing consumer does (billing_consumer/sweep.py). Sorted for its question: what was due lately.
--
-- Kept by the time of writing, not of being due: after a long outage intents are written that were due long ago. And
-- longer than Kafka keeps usage, so that none is gone before all that could report on it has been read.
CREATE TABLE IF NOT EXISTS intents
(
    kafka_partition UInt32,
    request_id String CODEC(ZSTD),
    attempt_id String CODEC(ZSTD),
    project_id LowCardinality(String),
    due_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    record String CODEC(ZSTD) COMMENT 'the UsageRecord, JSON',
    kafka_offset UInt64 CODEC(Delta, ZSTD),
    written_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta, ZSTD)
)
ENGINE = $merge_tree
PARTITION BY toYYYYMMDD(due_at)
ORDER BY (kafka_partition, due_at)
TTL written_at + INTERVAL 8 DAY
SETTINGS ttl_only_drop_parts = 1, $deduplication;
