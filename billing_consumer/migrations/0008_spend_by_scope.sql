-- Spend per budget scope (schemas.budgets.scopes_of) and UTC day of acceptance. Rows are partial sums: always sum() them.
-- An attempt counts in each of its scopes, so a sum over all scopes means nothing.
--
-- Billing consumers are writing while this runs, and each attempt must count exactly once: by the view or by the
-- back-fill. Which one is decided by its place in Kafka, because the batch that was written last may be written again
-- at any later time: ClickHouse then drops it from `attempts`, but still shows it to the view. So the inserts are
-- refused for a moment (a consumer tries again, with the same bounds), and what is there by then is not the view's.
-- (A row from long after that moment is the view's whatever its place: the topic was made anew and counts from 0.)
--
-- Run again from any point it starts over.
CREATE TABLE IF NOT EXISTS spend_by_scope
(
    scope String CODEC(ZSTD),
    day Date,
    attempts Int64,
    input_tokens Int64,
    cached_input_tokens Int64,
    output_tokens Int64,
    cost_usd Decimal(38, 12)
)
ENGINE = $summing_merge_tree
PARTITION BY toYYYYMM(day)
ORDER BY (scope, day)
SETTINGS $deduplication;

-- For joinGet: a view with a subquery in it keeps the engine's in-process form (chdb 26.9) from feeding any view at all.
CREATE TABLE IF NOT EXISTS spend_by_scope_starts
(
    kafka_partition UInt32,
    kafka_offset UInt64 COMMENT 'the first that the view counts',
    at DateTime64(3, 'UTC')
)
ENGINE = Join(ANY, LEFT, kafka_partition);

ALTER TABLE attempts ADD CONSTRAINT IF NOT EXISTS spend_by_scope_is_being_made CHECK sign = 0;

-- An insert that had begun before goes on without the constraint: it takes milliseconds. (No rows, no waiting.)
SELECT sleep(3) FROM (SELECT 1 FROM attempts LIMIT 1);

DROP VIEW IF EXISTS spend_by_scope_feed;

TRUNCATE TABLE spend_by_scope;

TRUNCATE TABLE spend_by_scope_starts;

INSERT INTO spend_by_scope_starts
SELECT kafka_partition, max(kafka_offset) + 1, now64(3, 'UTC') FROM attempts GROUP BY kafka_partition;

CREATE MATERIALIZED VIEW IF NOT EXISTS spend_by_scope_feed TO spend_by_scope AS
SELECT
    arrayJoin(arrayDistinct(arrayConcat(
        [concat('api_key:', api_key_id)],
        if(customer_id = '', [], [concat('customer:', organization_id, '/', customer_id)]),
        arrayMap((key, value) -> concat('tag:', organization_id, '/', key, '=', value), mapKeys(tags), mapValues(tags)),
        [concat('project:', project_id), concat('organization:', organization_id)]
    ))) AS scope,
    toDate(accepted_at) AS day,
    sum(toInt64(sign)) AS attempts,
    sum(sign * toInt64(attempts.input_tokens)) AS input_tokens,
    sum(sign * toInt64(attempts.cached_input_tokens)) AS cached_input_tokens,
    sum(sign * toInt64(attempts.output_tokens)) AS output_tokens,
    sum(sign * attempts.cost_usd) AS cost_usd
FROM attempts
WHERE kafka_offset >= joinGet('spend_by_scope_starts', 'kafka_offset', kafka_partition)
    OR accepted_at > joinGet('spend_by_scope_starts', 'at', kafka_partition) + INTERVAL 1 MINUTE
GROUP BY scope, day;

ALTER TABLE attempts DROP CONSTRAINT IF EXISTS spend_by_scope_is_being_made;

INSERT INTO spend_by_scope
SELECT
    arrayJoin(arrayDistinct(arrayConcat(
        [concat('api_key:', api_key_id)],
        if(customer_id = '', [], [concat('customer:', organization_id, '/', customer_id)]),
        arrayMap((key, value) -> concat('tag:', organization_id, '/', key, '=', value), mapKeys(tags), mapValues(tags)),
        [concat('project:', project_id), concat('organization:', organization_id)]
    ))) AS scope,
    toDate(accepted_at) AS day,
    sum(toInt64(sign)) AS attempts,
    sum(sign * toInt64(attempts.input_tokens)) AS input_tokens,
    sum(sign * toInt64(attempts.cached_input_tokens)) AS cached_input_tokens,
    sum(sign * toInt64(attempts.output_tokens)) AS output_tokens,
    sum(sign * attempts.cost_usd) AS cost_usd
FROM attempts
WHERE kafka_offset < joinGet('spend_by_scope_starts', 'kafka_offset', kafka_partition)
    AND accepted_at <= joinGet('spend_by_scope_starts', 'at', kafka_partition) + INTERVAL 1 MINUTE
GROUP BY scope, day
SETTINGS max_partitions_per_insert_block = 0;
