from tests.billing_consumer.conftest import clickhouse, client, database, empty_database

__all__ = ["clickhouse", "client", "database", "empty_database"]
