"""Creates the topics: an explicit step, so that a typing error in a name never makes a topic with default settings."""

from collections.abc import Callable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from runtime.kafka.clients import topic_name
from runtime.shared_settings import KafkaSettings
from schemas.topics import TOPICS


async def create_topics(admin: AIOKafkaAdminClient, settings: KafkaSettings, say: Callable[[str], None]) -> None:
    """Creates what is missing and leaves what exists as it is; safe to run at every deploy. Raises KafkaError."""
    await admin.start()
    try:
        wanted = {topic_name(settings, spec.topic): spec for spec in TOPICS.values()}
        existing = set(await admin.list_topics())
        for name in wanted.keys() & existing:
            say(f"topic {name}: exists")
        new = [
            NewTopic(name, spec.partitions, settings.replication, topic_configs=spec.config())
            for name, spec in wanted.items()
            if name not in existing
        ]
        if not new:
            return
        response: Any = await admin.create_topics(new)
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name}")
            # Another deploy may have been quicker, or the broker that we asked did not know of the topic yet.
            say(f"topic {name}: {'exists' if code else 'created'}")
    finally:
        await admin.close()
