-- The day of acceptance decides which budget period an attempt's cost falls in, and its leases say which budgets' money it
-- was. Rows from before, and rows that a consumer of the version before still writes, read as accepted when they started
-- and as paid by no lease. The view is made anew because a view keeps the columns that there were when it was made.
ALTER TABLE attempts
    ADD COLUMN IF NOT EXISTS accepted_at DateTime64(3, 'UTC') DEFAULT started_at CODEC(Delta, ZSTD)
    COMMENT 'when the ingress accepted the request: decides the budget period'
    AFTER vendor_model;

ALTER TABLE attempts
    ADD COLUMN IF NOT EXISTS leases Array(String) CODEC(ZSTD)
    COMMENT 'the leases that pay: partition|ledger|lease'
    AFTER estimated;

ALTER TABLE attempts
    ADD INDEX IF NOT EXISTS accepted_at_range accepted_at TYPE minmax GRANULARITY 1;

ALTER TABLE attempts
    COMMENT COLUMN IF EXISTS origin
    'worker: made the call. ingress: saw the worker go silent; an upper bound. audit: both died; an upper bound';

CREATE OR REPLACE VIEW attempts_final AS
SELECT * FROM attempts
WHERE sign = 1 AND (attempt_id, delivery, origin) NOT IN (
    SELECT attempt_id, delivery, origin FROM attempts WHERE sign = -1
);
