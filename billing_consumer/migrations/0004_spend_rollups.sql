-- Spend per API key and day, UTC. Rows are partial sums: always sum() them. The total of each rollup equals
-- sum(sign * cost_usd) over `attempts` exactly, because both are decimal sums of the same rows.
CREATE TABLE IF NOT EXISTS spend_by_key
(
    api_key_id String,
    project_id LowCardinality(String),
    organization_id LowCardinality(String),
    day Date,
    attempts Int64,
    input_tokens Int64,
    cached_input_tokens Int64,
    output_tokens Int64,
    cost_usd Decimal(38, 12)
)
ENGINE = $summing_merge_tree
PARTITION BY toYYYYMM(day)
ORDER BY (api_key_id, project_id, organization_id, day)
SETTINGS $deduplication;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_by_key_feed TO spend_by_key AS
SELECT
    api_key_id,
    project_id,
    organization_id,
    toDate(started_at) AS day,
    sum(toInt64(sign)) AS attempts,
    sum(sign * toInt64(attempts.input_tokens)) AS input_tokens,
    sum(sign * toInt64(attempts.cached_input_tokens)) AS cached_input_tokens,
    sum(sign * toInt64(attempts.output_tokens)) AS output_tokens,
    sum(sign * attempts.cost_usd) AS cost_usd
FROM attempts
GROUP BY api_key_id, project_id, organization_id, day;

CREATE TABLE IF NOT EXISTS spend_by_project
(
    project_id LowCardinality(String),
    organization_id LowCardinality(String),
    day Date,
    attempts Int64,
    input_tokens Int64,
    cached_input_tokens Int64,
    output_tokens Int64,
    cost_usd Decimal(38, 12)
)
ENGINE = $summing_merge_tree
PARTITION BY toYYYYMM(day)
ORDER BY (project_id, organization_id, day)
SETTINGS $deduplication;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_by_project_feed TO spend_by_project AS
SELECT
    project_id,
    organization_id,
    toDate(started_at) AS day,
    sum(toInt64(sign)) AS attempts,
    sum(sign * toInt64(attempts.input_tokens)) AS input_tokens,
    sum(sign * toInt64(attempts.cached_input_tokens)) AS cached_input_tokens,
    sum(sign * toInt64(attempts.output_tokens)) AS output_tokens,
    sum(sign * attempts.cost_usd) AS cost_usd
FROM attempts
GROUP BY project_id, organization_id, day;

CREATE TABLE IF NOT EXISTS spend_by_model_hour
(
    hour DateTime('UTC'),
    model LowCardinality(String),
    provider LowCardinality(String),
    vendor LowCardinality(String),
    vendor_model LowCardinality(String),
    outcome LowCardinality(String),
    failure LowCardinality(String),
    estimated Bool,
    attempts Int64,
    input_tokens Int64,
    cached_input_tokens Int64,
    output_tokens Int64,
    cost_usd Decimal(38, 12)
)
ENGINE = $summing_merge_tree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, model, provider, vendor, vendor_model, outcome, failure, estimated)
SETTINGS $deduplication;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_by_model_hour_feed TO spend_by_model_hour AS
SELECT
    toStartOfHour(toDateTime(started_at, 'UTC')) AS hour,
    model,
    provider,
    vendor,
    vendor_model,
    outcome,
    failure,
    estimated,
    sum(toInt64(sign)) AS attempts,
    sum(sign * toInt64(attempts.input_tokens)) AS input_tokens,
    sum(sign * toInt64(attempts.cached_input_tokens)) AS cached_input_tokens,
    sum(sign * toInt64(attempts.output_tokens)) AS output_tokens,
    sum(sign * attempts.cost_usd) AS cost_usd
FROM attempts
GROUP BY hour, model, provider, vendor, vendor_model, outcome, failure, estimated;
