-- The audit log: one row per change of the configuration, written from the topic `config` (billing_consumer/audit_log.py).
-- Every billing consumer writes every change, and all that the topic still has when it starts; equal keys are equal rows,
-- so it does not matter which of them a merge keeps. Read the view: the table may have a row more than once.
CREATE TABLE IF NOT EXISTS config_changes
(
    at DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    entity_id String,
    version UInt64 COMMENT 'counts the changes of this entity, from 1',
    organization_id String COMMENT 'empty: it belongs to none',
    actor String COMMENT 'the id of a management key, or bootstrap',
    action LowCardinality(String),
    change_id String,
    entity String CODEC(ZSTD) COMMENT 'JSON as it was after the change, without hashes of secrets; empty: deleted'
)
ENGINE = $replacing_merge_tree
ORDER BY (kind, entity_id, version);

CREATE VIEW IF NOT EXISTS config_changes_final AS
SELECT * FROM config_changes FINAL;
