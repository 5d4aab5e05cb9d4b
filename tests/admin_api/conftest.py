from collections.abc import Iterator

import pytest

from tests.admin_api.admin_server import AdminServer, admin_server
from tests.billing_consumer.conftest import clickhouse, client, database, empty_database

__all__ = ["clickhouse", "client", "database", "empty_database", "server"]


@pytest.fixture
def server() -> Iterator[AdminServer]:
    """Organizations "acme" and "other"; keys that may do everything, look only, and see "acme" only."""
    with admin_server() as started:
        yield started
