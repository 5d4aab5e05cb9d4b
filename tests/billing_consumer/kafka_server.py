"""A real Apache Kafka as a child process, for tests; skipped, with the reason, where it cannot be had."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.kafka import apache
from deploy.local.kafka.errors import KafkaUnavailable
from deploy.local.kafka.jars import install
from deploy.local.kafka.process import KafkaHandle


@contextmanager
def kafka_process(path: Path) -> Iterator[KafkaHandle]:
    try:
        jars = install(print, os.environ)
    except KafkaUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have Apache Kafka: {unavailable.reason}")
        pytest.skip(f"no Apache Kafka: {unavailable.reason}")
    handle = apache.start(jars, path, "127.0.0.1", None, os.environ)
    try:
        yield handle
    finally:
        handle.stop()
