"""The authority over one partition, under one term: from its take-over until the partition is lost.

What it decides counts for nobody until it is in the log, and for itself not before it has read it back there: another
writer may have taken over in between. Only then is an alert sent, and may the offset of the commands be committed.
"""

from collections.abc import Callable, Mapping

from billing_consumer.authority.alerts import AlertCourier
from billing_consumer.authority.ledger_book import LedgerBook
from billing_consumer.authority.opening import OpeningDesk
from billing_consumer.authority.outbox import Outbox
from billing_consumer.authority.pending_ledger import Opening
from billing_consumer.authority.spent_query import OpeningRequest
from runtime.clock import Clock
from runtime.kafka.fenced_table import Deposed, FencedTable
from runtime.kafka.fenced_writer import FencedWriter, Term
from runtime.metrics import Metrics
from schemas.spend import LEDGER, LedgerState, SpendCommand

TICK_EVERY_S = 0.2
"""A tick looks at every ledger; done at every poll it would take a busy authority's whole time."""


class Office:
    """`states`: every ledger of the partition, as the log has it after the take-over. `next_offset`: of the first
    command that has not been applied. `done_offset`: from where the next authority has to read; it may be committed."""

    def __init__(
        self,
        term: Term,
        next_offset: int,
        states: Mapping[str, LedgerState],
        writer: FencedWriter,
        table: FencedTable,
        book: LedgerBook,
        desk: OpeningDesk,
        courier: AlertCourier,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.term = term
        self.next_offset = next_offset
        self.done_offset = next_offset
        self._writer = writer
        self._table = table
        self._book = book
        self._desk = desk
        self._courier = courier
        self._clock = clock
        self._written = metrics.counter("tollhouse_billing_ledger_states_total")
        self._ticked_at_s = -TICK_EVERY_S
        self._outbox = Outbox(states)
        for state in states.values():
            book.load(state)
            courier.take(term.partition, state)

    @property
    def waits(self) -> bool:
        """Whether something may be ready soon that no command announces."""
        return self._desk.busy

    def apply(self, offset: int, command: SpendCommand) -> None:
        self._book.apply(command, self._clock.monotonic_s(), self._clock.now_ms(), offset)
        self.next_offset = offset + 1

    def pass_over(self, offset: int) -> None:
        """A command that could not be read."""
        self.next_offset = offset + 1

    def tick(self, *, caught_up: bool) -> None:
        """Everything that happens without a command. While commands wait to be read nobody is called silent: what he
        said may be among them. Nor is a ledger opened."""
        partition, monotonic_s, now_ms = self.term.partition, self._clock.monotonic_s(), self._clock.now_ms()
        for ledger_id, spent_pico_usd in self._desk.fetch().items():
            self._book.opened(ledger_id, spent_pico_usd, monotonic_s, now_ms)
        for ledger_id, alert_id in self._courier.fetch_done(partition):
            self._book.alert_delivered(ledger_id, alert_id)
        if caught_up and monotonic_s - self._ticked_at_s >= TICK_EVERY_S:
            self._ticked_at_s = monotonic_s
            self._book.tick(monotonic_s, now_ms)
        if caught_up:
            # Of what is read anew after a take-over, a clock may be older than settlements that are not read again: a
            # ledger opened by it would never count them. At the end of the log the latest of each has been heard.
            self._desk.ask([_request(opening) for opening in self._book.openings()])
        for ledger_id in self._table.void_keys(partition):
            # Compaction would keep a deposed writer's word, which counts for nobody, and drop the one that does.
            self._book.repeat(ledger_id)
        for ledger_id, state in self._book.dirty():
            self._outbox.put(ledger_id, state, monotonic_s)

    async def publish(self) -> None:
        """Returns when what was due counts. Raises Deposed; after any error this term is over."""
        # Taken before the waiting: nothing is applied meanwhile, but it must not become true by accident either.
        offset = self.next_offset
        due = self._outbox.due(self._clock.monotonic_s())
        if due:
            stamp = await self._writer.write(
                self.term, [(name, None if state is None else LEDGER.encode(state)) for name, state in due.items()]
            )
            await self._writer.confirm(self.term, stamp)
            self._written.inc(len(due))
        elif not self._writer.is_current(self.term):
            raise Deposed(f"partition {self.term.partition} has another writer")
        self._start_alerts(due)
        # While a ledger is being opened, what it has been told is only in memory.
        if self._outbox.empty and not self._desk.busy:
            self.done_offset = self._book.replay_from(offset)

    def close(self) -> None:
        self._desk.close()
        self._courier.forget(self.term.partition)

    def _start_alerts(self, states: Mapping[str, LedgerState | None]) -> None:
        for state in states.values():
            if state is not None:
                self._courier.take(self.term.partition, state)


OfficeMaker = Callable[[Term, int], Office]


def _request(opening: Opening) -> OpeningRequest:
    return OpeningRequest(
        opening.ledger_id, opening.budget.scope_kind, opening.budget.scope, opening.period, opening.through
    )
