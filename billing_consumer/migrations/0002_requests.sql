-- One row per finished request that counts, with the same rules as `attempts`. Its cost is its attempts' cost.
CREATE TABLE IF NOT EXISTS requests
(
    organization_id LowCardinality(String),
    project_id LowCardinality(String),
    request_id String CODEC(ZSTD),
    delivery UInt32,
    origin LowCardinality(String),
    api_key_id String CODEC(ZSTD),
    customer_id String CODEC(ZSTD),
    tags Map(LowCardinality(String), String),
    surface LowCardinality(String),
    streaming Bool,
    requested_model LowCardinality(String),
    accepted_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    finished_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    status UInt16 COMMENT 'what the client got; 499: it had gone away',
    attempts UInt32,
    queue_ms UInt64 CODEC(ZSTD),
    total_ms UInt64 CODEC(ZSTD),
    first_byte_ms Nullable(UInt64) CODEC(ZSTD),
    failure LowCardinality(String),
    model LowCardinality(String) COMMENT 'that answered; empty if none did',
    vendor LowCardinality(String) COMMENT 'that answered; empty if none did',
    unusual Bool COMMENT 'another report about this request may exist',
    sign Int8 COMMENT '1, or -1 where the row takes another one back',
    kafka_partition UInt32,
    kafka_offset UInt64 CODEC(Delta, ZSTD),
    INDEX request_id_filter request_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX accepted_at_range accepted_at TYPE minmax GRANULARITY 1,
    INDEX sign_range sign TYPE minmax GRANULARITY 1
)
ENGINE = $merge_tree
PARTITION BY toYYYYMM(accepted_at)
ORDER BY (project_id, request_id)
SETTINGS $deduplication;
