"""What the worker counts."""

from prometheus_client import Counter, Histogram

from runtime.metrics import Metrics
from schemas.usage import AttemptEvent


class WorkerMeasures:
    def __init__(self, metrics: Metrics) -> None:
        self._attempts = metrics.counter("tollhouse_worker_attempts_total")
        self._cost = metrics.counter("tollhouse_worker_cost_pico_usd_total")
        self._first_byte = metrics.histogram("tollhouse_worker_first_byte_seconds")
        # Looking a label set up anew costs more than counting, on the path of every call.
        self._attempts_of: dict[tuple[str, str, str], Counter] = {}
        self._of_vendor: dict[str, tuple[Counter, Histogram]] = {}
        requests = metrics.counter("tollhouse_worker_requests_total")
        self.results = {
            result: requests.labels(result=result) for result in ("served", "failed", "refused", "late", "gone")
        }

    def attempt(self, event: AttemptEvent) -> None:
        key = (event.vendor, event.outcome, event.failure or "")
        counter = self._attempts_of.get(key)
        if counter is None:
            counter = self._attempts_of[key] = self._attempts.labels(*key)
        counter.inc()
        vendor = self._of_vendor.get(event.vendor)
        if vendor is None:
            vendor = self._of_vendor[event.vendor] = (
                self._cost.labels(event.vendor),
                self._first_byte.labels(event.vendor),
            )
        cost, first_byte = vendor
        cost.inc(event.cost_pico_usd)
        if event.first_byte_ms is not None:
            first_byte.observe(event.first_byte_ms / 1000)
