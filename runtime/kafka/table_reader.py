"""A topic as a table: how every replica gets the same values. Where writers need a fence: fenced_table."""

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer

from runtime.clock import Clock
from runtime.kafka.log_reader import LogReader, LogRecord
from runtime.lifecycle import Supervisor


class TableReader(LogReader):
    """`apply(value)` is called for each record, in order within a key; an UndecodableRecord from it is logged."""

    def __init__(
        self,
        make_reader: Callable[[], AIOKafkaConsumer],
        topic: str,
        apply: Callable[[bytes], None],
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        def apply_value(record: LogRecord) -> None:
            if record.value is not None:
                apply(record.value)

        super().__init__(make_reader, topic, apply_value, clock, supervisor)
