"""Tells every ingress what budget scopes have spent, after a batch is in ClickHouse.

A total is read, never added up here: a batch that is published twice, or a process that knows nothing of the past,
gives the same figure. Totals of one scope come from one partition, hence from one process; but one that has lost the
partition and does not know it yet may publish a total late, so a reader keeps the one with the highest `as_of_ms`.
"""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol, cast

from billing_consumer.batch_writer import Touched
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from schemas.money import usd_to_pico
from schemas.spend import SPEND, Scope, SpendState, spend_key
from schemas.topics import Topic


class TotalsSource(Protocol):
    async def totals_usd(
        self, api_key_ids: Iterable[str], project_ids: Iterable[str]
    ) -> list[tuple[str, str, Decimal]]: ...


class SpendPublisher:
    def __init__(self, totals: TotalsSource, producer: DurableProducer, clock: Clock) -> None:
        self._totals = totals
        self._producer = producer
        self._clock = clock

    async def read(self, touched: Touched) -> list[SpendState]:
        """The totals as they are now. Raises StoreUnavailable."""
        if not touched.api_key_ids:
            return []
        # Before the query: a total must not claim to know of what was written after it was read.
        as_of_ms = self._clock.now_ms()
        return [
            SpendState(
                scope=cast("Scope", scope), scope_id=scope_id, spent_pico_usd=usd_to_pico(total), as_of_ms=as_of_ms
            )
            for scope, scope_id, total in await self._totals.totals_usd(touched.api_key_ids, touched.project_ids)
        ]

    async def publish(self, states: Iterable[SpendState]) -> None:
        """Returns when Kafka has them all, however long that takes."""
        await asyncio.gather(*(self._deliver(state) for state in states))

    async def _deliver(self, state: SpendState) -> None:
        value = SPEND.encode(state)
        await self._producer.deliver(Topic.SPEND, spend_key(state.scope, state.scope_id), lambda _repeat: value)
