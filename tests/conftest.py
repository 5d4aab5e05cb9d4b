"""Apache Kafka for tests: one broker for all that only use it, others for tests that stop it."""

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from deploy.local.kafka import choose
from deploy.local.kafka.errors import KafkaUnavailable
from deploy.local.kafka.process import KafkaHandle
from runtime.shared_settings import KafkaSettings

HOST = "127.0.0.1"

StartKafka = Callable[[str], KafkaHandle]
MakeSettings = Callable[[KafkaHandle], KafkaSettings]


@pytest.fixture(scope="session")
def start_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartKafka]:
    """Starts brokers on free ports, and stops them all at the end. Skips where Apache Kafka cannot be had."""
    handles: list[KafkaHandle] = []

    def start(name: str) -> KafkaHandle:
        try:
            handle = choose.start("apache", tmp_path_factory.mktemp(name), print, HOST, None)
        except KafkaUnavailable as unavailable:
            if os.environ.get("CI") == "true":
                pytest.fail(f"CI must have Apache Kafka: {unavailable.reason}")
            pytest.skip(unavailable.reason)
        handles.append(handle)
        return handle

    yield start
    for handle in handles:
        handle.kill()


@pytest.fixture(scope="session")
def kafka(start_kafka: StartKafka) -> KafkaHandle:
    """The session's one broker. Never stop it: other tests use it. Take topics of your own (`kafka_settings`)."""
    return start_kafka("kafka")


_fleets = count()


@pytest.fixture
def settings_for() -> MakeSettings:
    """Settings with a topic prefix that no other test has, and no waiting for a fuller fetch."""

    def make(kafka: KafkaHandle) -> KafkaSettings:
        return KafkaSettings(
            bootstrap=kafka.bootstrap,
            topic_prefix=f"t{next(_fleets)}.",
            session_timeout_s=3.0,
            fetch_max_wait_ms=20,
        )

    return make


@pytest.fixture
def kafka_settings(kafka: KafkaHandle, settings_for: MakeSettings) -> KafkaSettings:
    return settings_for(kafka)
