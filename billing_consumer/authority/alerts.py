"""Takes due alerts to the webhooks: at least once, tried again for a day.

What is due is in the ledger's state, so it outlives the process; a webhook that took an alert shortly before a crash
gets it again, with the same id.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from billing_consumer.authority.budget_view import BudgetView
from billing_consumer.authority.webhook_message import WebhookMessage, budget_alert
from billing_consumer.authority.webhook_sender import NotTaken
from runtime.clock import Clock
from runtime.lifecycle import Supervisor
from runtime.metrics import Metrics
from schemas.spend import AlertDue, LedgerState
from schemas.tenancy import Webhook

log = structlog.get_logger(__name__)

GIVE_UP_AFTER_MS = 24 * 3600 * 1000
MAX_BACKOFF_S = 3600.0
AT_ONCE = 16


class Sender(Protocol):
    async def send(self, webhook: Webhook, message: WebhookMessage) -> None:
        """Raises NotTaken."""


class AlertCourier:
    """`jitter`: a random factor for each pause, around 1, so that a receiver that comes back is not met by all at once.
    `backoff_s`: the first pause; each next one is twice as long."""

    def __init__(
        self,
        view: BudgetView,
        sender: Sender,
        clock: Clock,
        supervisor: Supervisor,
        metrics: Metrics,
        jitter: Callable[[], float],
        backoff_s: float = 2.0,
    ) -> None:
        self._view = view
        self._sender = sender
        self._clock = clock
        self._supervisor = supervisor
        self._results = metrics.counter("tollhouse_billing_alerts_total")
        self._jitter = jitter
        self._backoff_s = backoff_s
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[int, dict[str, dict[str, asyncio.Task[None]]]] = {}
        self._done: dict[int, list[tuple[str, str]]] = {}

    def take(self, partition: int, ledger: LedgerState) -> None:
        """Starts on the alerts that are due in this state, if it has not yet. What is not due any more is forgotten: an
        authority may live through very many periods."""
        ledgers = self._under_way.setdefault(partition, {})
        under_way = ledgers.pop(ledger.ledger_id, {})
        if ledger.alerts_due:
            ledgers[ledger.ledger_id] = {
                alert.alert_id: under_way.get(alert.alert_id)
                or self._supervisor.spawn_one_of_many(self._deliver(partition, ledger, alert), "deliver a budget alert")
                for alert in ledger.alerts_due
            }

    def fetch_done(self, partition: int) -> list[tuple[str, str]]:
        """(ledger id, alert id) of what has been delivered since the last call."""
        return self._done.pop(partition, [])

    def forget(self, partition: int) -> None:
        """Its next authority delivers them."""
        for under_way in self._under_way.pop(partition, {}).values():
            for task in under_way.values():
                task.cancel()
        self._done.pop(partition, None)

    async def _deliver(self, partition: int, ledger: LedgerState, alert: AlertDue) -> None:
        result = await self._until_taken(ledger, alert)
        self._results.labels(result=result).inc()
        log.info("budget alert is done", budget=ledger.budget_id, percent=alert.percent, result=result)
        self._done.setdefault(partition, []).append((ledger.ledger_id, alert.alert_id))

    async def _until_taken(self, ledger: LedgerState, alert: AlertDue) -> str:
        budget = self._view.budget(ledger.budget_id)
        if budget is None:
            return "budget_deleted"
        message = budget_alert(ledger, budget, alert)
        taken: set[str] = set()
        backoff_s = self._backoff_s
        while True:
            # Looked up every time: a receiver that is gone for good can be taken out of the configuration.
            webhooks = [w for w in self._view.webhooks_of(budget.organization_id) if w.webhook_id not in taken]
            if not webhooks:
                return "delivered" if taken else "no_webhook"
            for webhook in webhooks:
                if await self._try(webhook, message):
                    taken.add(webhook.webhook_id)
            if all(webhook.webhook_id in taken for webhook in webhooks):
                continue
            if self._clock.now_ms() - alert.crossed_at_ms > GIVE_UP_AFTER_MS:
                log.error("budget alert given up", budget=ledger.budget_id, percent=alert.percent)
                return "given_up"
            await asyncio.sleep(backoff_s * self._jitter())
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)

    async def _try(self, webhook: Webhook, message: WebhookMessage) -> bool:
        async with self._slots:
            try:
                await self._sender.send(webhook, message)
            except NotTaken as error:
                self._results.labels(result="not_taken").inc()
                log.warning("webhook did not take an alert", webhook=webhook.webhook_id, reason=str(error))
                return False
        return True
