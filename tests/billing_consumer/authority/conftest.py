"""A Kafka, the authorities in it, and the world that they serve."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from deploy.local.kafka.process import KafkaHandle
from runtime.kafka.clients import make_admin
from runtime.kafka.topics_admin import create_topics
from runtime.shared_settings import ClickHouseSettings, KafkaSettings
from tests.billing_consumer.authority.fleet import Authorities, World, a_world
from tests.billing_consumer.authority.samples import a_change
from tests.billing_consumer.authority.views import BUDGET
from tests.billing_consumer.kafka_server import kafka_process

_numbers = count()


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaHandle]:
    with kafka_process(tmp_path_factory.mktemp("kafka")) as handle:
        yield handle


@pytest.fixture
async def kafka(broker: KafkaHandle) -> KafkaSettings:
    settings = KafkaSettings(
        bootstrap=broker.bootstrap, topic_prefix=f"t{next(_numbers)}.", session_timeout_s=1.5, fetch_max_wait_ms=100
    )
    await create_topics(make_admin(settings), settings, lambda _line: None)
    return settings


@pytest.fixture
async def world(kafka: KafkaSettings) -> AsyncIterator[World]:
    async with a_world(kafka) as world:
        await world.configure(a_change("budget", BUDGET))
        yield world


@pytest.fixture
def authorities(kafka: KafkaSettings, database: ClickHouseSettings, tmp_path: Path) -> Iterator[Authorities]:
    authorities = Authorities(kafka, database, tmp_path)
    yield authorities
    for authority in authorities.all:
        authority.kill()
