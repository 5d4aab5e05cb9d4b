"""Which Kafka this machine gets: Apache Kafka, or Tansu where Apache Kafka cannot be had."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from deploy.local.kafka import apache, tansu
from deploy.local.kafka.errors import KafkaUnavailable
from deploy.local.kafka.jars import Progress, install
from deploy.local.kafka.process import KafkaHandle

Choice = Literal["auto", "apache", "tansu"]


def start(kind: Choice, data_dir: Path, progress: Progress, host: str, port: int | None) -> KafkaHandle:
    """A running Kafka; `port` None takes a free one. May take minutes the first time, while jars are fetched.

    Tansu comes with a notice of what it lacks. "auto" is Apache Kafka, and Tansu where that cannot be had. It is
    never Tansu because Apache Kafka failed to start: that has a cause to be mended, and the data is there.
    Raises `KafkaUnavailable`, `KafkaStartFailed`.
    """
    environ = os.environ
    if kind == "tansu":
        progress(_notice("using Tansu, a stand-in that is good for a look only:"))
        return tansu.start(data_dir, host, port, environ)
    try:
        kafka = install(progress, environ)
    except KafkaUnavailable as unavailable:
        if kind == "apache":
            raise
        instead = "using Tansu instead, a stand-in that is good for a look only:"
        progress(_notice(f"no Apache Kafka: {unavailable.reason}", instead))
        return tansu.start(data_dir, host, port, environ)
    return apache.start(kafka, data_dir, host, port, environ)


def _notice(*lines: str) -> str:
    return "\n".join([*lines, *(f"  - {lack}" for lack in tansu.LACKS)])
