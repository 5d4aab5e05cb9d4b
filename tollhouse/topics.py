"""`tollhouse topics`: creates what is missing."""

import argparse
import asyncio
import os
import sys

import msgspec
from aiokafka.errors import KafkaError

from runtime.kafka.clients import make_admin
from runtime.kafka.topics_admin import create_topics
from runtime.settings import InvalidSettings, load_settings
from runtime.shared_settings import KNOWN_GROUPS, KafkaSettings


class TopicsSettings(msgspec.Struct, frozen=True, kw_only=True):
    kafka: KafkaSettings


def run(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 Kafka refused or is away, 2 the settings are wrong."""
    parser = argparse.ArgumentParser(prog="tollhouse topics", description="Create the Kafka topics that are missing.")
    parser.parse_args(arguments)
    try:
        settings = load_settings(TopicsSettings, os.environ, KNOWN_GROUPS)
    except InvalidSettings as error:
        print("\n".join(f"topics: {problem}" for problem in error.problems), file=sys.stderr)
        return 2
    try:
        asyncio.run(_create(settings.kafka))
    except KafkaError as error:
        print(f"topics: Kafka at {settings.kafka.bootstrap}: {error}", file=sys.stderr)
        return 1
    return 0


async def _create(kafka: KafkaSettings) -> None:
    await create_topics(make_admin(kafka), kafka, print)
