"""Reads every ledger from the topic `spend`, once, to its end."""

from collections.abc import Sequence

from runtime.clock import Clock
from runtime.kafka.clients import make_reader, topic_name
from runtime.kafka.fenced_table import FencedTable
from runtime.lifecycle import Deadline, Supervisor
from runtime.shared_settings import KafkaSettings
from schemas.spend import LEDGER, LedgerState
from schemas.topics import Topic

STOP_WITHIN_S = 5.0


async def read_ledgers(settings: KafkaSettings, clock: Clock) -> Sequence[LedgerState]:
    """The states that count (schemas.fencing). Raises KafkaError."""
    ledgers: dict[str, LedgerState] = {}

    def apply(_partition: int, key: str, value: bytes | None) -> None:
        if value is None:
            ledgers.pop(key, None)
        else:
            ledgers[key] = LEDGER.decode(value)

    table = FencedTable(lambda: make_reader(settings), topic_name(settings, Topic.SPEND), apply, clock, Supervisor())
    try:
        await table.start()
    finally:
        await table.stop(Deadline(clock, STOP_WITHIN_S))
    return list(ledgers.values())
