-- Only the reports that stand, one row per attempt. A report is known by its id, delivery and origin: the same three are
-- never inserted again after they were taken back, because what replaces a report always ranks higher.
CREATE VIEW IF NOT EXISTS attempts_final AS
SELECT * FROM attempts
WHERE sign = 1 AND (attempt_id, delivery, origin) NOT IN (
    SELECT attempt_id, delivery, origin FROM attempts WHERE sign = -1
);

CREATE VIEW IF NOT EXISTS requests_final AS
SELECT * FROM requests
WHERE sign = 1 AND (request_id, delivery, origin) NOT IN (
    SELECT request_id, delivery, origin FROM requests WHERE sign = -1
);

CREATE VIEW IF NOT EXISTS requests_with_cost AS
SELECT
    r.*,
    a.cost_usd AS cost_usd,
    a.input_tokens AS input_tokens,
    a.cached_input_tokens AS cached_input_tokens,
    a.output_tokens AS output_tokens
FROM requests_final AS r
LEFT JOIN (
    SELECT
        project_id,
        request_id,
        sum(sign * attempts.cost_usd) AS cost_usd,
        sum(sign * toInt64(attempts.input_tokens)) AS input_tokens,
        sum(sign * toInt64(attempts.cached_input_tokens)) AS cached_input_tokens,
        sum(sign * toInt64(attempts.output_tokens)) AS output_tokens
    FROM attempts
    GROUP BY project_id, request_id
) AS a ON r.project_id = a.project_id AND r.request_id = a.request_id;
