-- The requests about which a second report may come after one that stands already. Small, so that the billing consumer can
-- ask for every batch which of its requests are among them (billing_consumer/resolve.py). Request ids sort by time, so
-- the ids of one batch are a short range of this table.
CREATE TABLE IF NOT EXISTS unusual_reports
(
    kafka_partition UInt32,
    request_id String CODEC(ZSTD),
    kafka_offset UInt64
)
ENGINE = $merge_tree
ORDER BY (kafka_partition, request_id)
SETTINGS $deduplication;

CREATE MATERIALIZED VIEW IF NOT EXISTS unusual_reports_from_attempts TO unusual_reports AS
SELECT kafka_partition, request_id, kafka_offset FROM attempts WHERE unusual AND sign = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS unusual_reports_from_requests TO unusual_reports AS
SELECT kafka_partition, request_id, kafka_offset FROM requests WHERE unusual AND sign = 1;
