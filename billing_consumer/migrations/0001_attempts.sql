-- One row per report of a vendor call that counts. A row is never updated: to take a report back, the same values are
-- inserted again with sign = -1. So every sum over this table is weighted by sign.
--
-- Text that is absent is the empty string. Request ids sort by time: (project_id, request_id) is both a project's
-- history in order and the way by which the billing consumer finds earlier reports about one request.
CREATE TABLE IF NOT EXISTS attempts
(
    organization_id LowCardinality(String),
    project_id LowCardinality(String),
    request_id String CODEC(ZSTD),
    attempt_id String CODEC(ZSTD),
    attempt_no UInt32,
    delivery UInt32,
    origin LowCardinality(String) COMMENT 'worker: made the call. ingress: saw the worker go silent; an upper bound',
    api_key_id String CODEC(ZSTD),
    customer_id String CODEC(ZSTD),
    tags Map(LowCardinality(String), String),
    surface LowCardinality(String),
    streaming Bool,
    requested_model LowCardinality(String),
    worker_id LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    vendor LowCardinality(String),
    vendor_model LowCardinality(String),
    started_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    ended_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    first_byte_ms Nullable(UInt64) CODEC(ZSTD),
    outcome LowCardinality(String),
    status Nullable(UInt16),
    failure LowCardinality(String),
    vendor_request_id String CODEC(ZSTD),
    input_tokens UInt64 CODEC(ZSTD),
    cached_input_tokens UInt64 CODEC(ZSTD) COMMENT 'part of input_tokens',
    cache_write_tokens UInt64 CODEC(ZSTD) COMMENT 'part of input_tokens',
    output_tokens UInt64 CODEC(ZSTD),
    reasoning_tokens UInt64 CODEC(ZSTD) COMMENT 'part of output_tokens',
    cost_usd Decimal(38, 12) CODEC(ZSTD),
    price_id LowCardinality(String),
    estimated Bool COMMENT 'the vendor gave no figures: tokens and cost are upper bounds',
    unusual Bool COMMENT 'another report about this attempt may exist',
    sign Int8 COMMENT '1, or -1 where the row takes another one back',
    kafka_partition UInt32,
    kafka_offset UInt64 CODEC(Delta, ZSTD),
    INDEX attempt_id_filter attempt_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX request_id_filter request_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX started_at_range started_at TYPE minmax GRANULARITY 1,
    INDEX sign_range sign TYPE minmax GRANULARITY 1
)
ENGINE = $merge_tree
PARTITION BY toYYYYMM(started_at)
ORDER BY (project_id, request_id, attempt_id)
SETTINGS $deduplication;
