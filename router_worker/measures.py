"""What the worker counts."""

from runtime.metrics import Metrics
from schemas.usage import AttemptEvent


class WorkerMeasures:
    def __init__(self, metrics: Metrics) -> None:
        self._attempts = metrics.counter("tollhouse_worker_attempts_total")
        self._cost = metrics.counter("tollhouse_worker_cost_pico_usd_total")
        self._first_byte = metrics.histogram("tollhouse_worker_first_byte_seconds")
        requests = metrics.counter("tollhouse_worker_requests_total")
        self.results = {
            result: requests.labels(result=result) for result in ("served", "failed", "refused", "late", "gone")
        }

    def attempt(self, event: AttemptEvent) -> None:
        self._attempts.labels(vendor=event.vendor, outcome=event.outcome, failure=event.failure or "").inc()
        self._cost.labels(vendor=event.vendor).inc(event.cost_pico_usd)
        if event.first_byte_ms is not None:
            self._first_byte.labels(vendor=event.vendor).observe(event.first_byte_ms / 1000)
