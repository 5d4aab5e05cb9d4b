"""Every Prometheus metric of the fleet, in one typed list. mypy refuses a name that is not here.

Labels have few values: a vendor, a failure kind, an outcome; never an id.
"""

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CounterName = Literal[
    "tollhouse_ingress_responses_total",
    "tollhouse_ingress_requeues_total",
    "tollhouse_ingress_claims_total",
    "tollhouse_ingress_lost_attempts_total",
    "tollhouse_worker_attempts_total",
    "tollhouse_worker_requests_total",
    "tollhouse_worker_cost_pico_usd_total",
    "tollhouse_billing_rows_total",
    "tollhouse_billing_batches_total",
    "tollhouse_billing_alerts_total",
    "tollhouse_billing_spend_commands_total",
    "tollhouse_billing_ledger_states_total",
    "tollhouse_billing_take_overs_total",
    "tollhouse_kafka_delivery_failures_total",
    "tollhouse_kafka_dead_letters_total",
]
GaugeName = Literal[
    "tollhouse_ingress_open_requests",
    "tollhouse_ingress_reply_channels",
    "tollhouse_worker_requests_in_flight",
    "tollhouse_kafka_assigned_partitions",
]
HistogramName = Literal[
    "tollhouse_ingress_time_to_claim_seconds",
    "tollhouse_worker_first_byte_seconds",
    "tollhouse_billing_batch_seconds",
    "tollhouse_billing_authority_seconds",
]


@dataclass(frozen=True, slots=True)
class _Spec:
    help: str
    labels: tuple[str, ...] = ()


_COUNTERS: dict[CounterName, _Spec] = {
    "tollhouse_ingress_responses_total": _Spec("Answers to clients, refusals included.", ("surface", "status")),
    "tollhouse_ingress_requeues_total": _Spec("Requests put back because their worker was lost before the first byte."),
    "tollhouse_ingress_claims_total": _Spec("Claims by workers, by answer.", ("answer",)),
    "tollhouse_ingress_lost_attempts_total": _Spec("Attempts that the ingress reported because their worker was lost."),
    "tollhouse_worker_attempts_total": _Spec("Vendor calls.", ("vendor", "outcome", "failure")),
    "tollhouse_worker_requests_total": _Spec("Requests taken from Kafka, by what became of them.", ("result",)),
    "tollhouse_worker_cost_pico_usd_total": _Spec("Cost of vendor calls.", ("vendor",)),
    "tollhouse_billing_rows_total": _Spec("Rows written to ClickHouse.", ("table",)),
    "tollhouse_billing_batches_total": _Spec(
        "Batches written to ClickHouse; replayed after a crash or not.", ("replayed",)
    ),
    "tollhouse_billing_alerts_total": _Spec(
        "Budget alerts by what became of them; not_taken counts single tries.", ("result",)
    ),
    "tollhouse_billing_spend_commands_total": _Spec("Commands to budgets that were worked off."),
    "tollhouse_billing_ledger_states_total": _Spec("Ledger states written."),
    "tollhouse_billing_take_overs_total": _Spec(
        "Partitions of budgets taken over, at an assignment or after another writer."
    ),
    "tollhouse_kafka_delivery_failures_total": _Spec("Records that Kafka did not take at the first try.", ("topic",)),
    "tollhouse_kafka_dead_letters_total": _Spec("Records put aside because they could not be decoded.", ("topic",)),
}
_GAUGES: dict[GaugeName, _Spec] = {
    "tollhouse_ingress_open_requests": _Spec("Requests that clients are waiting for."),
    "tollhouse_ingress_reply_channels": _Spec("Workers connected to this ingress."),
    "tollhouse_worker_requests_in_flight": _Spec("Requests that this worker is serving."),
    "tollhouse_kafka_assigned_partitions": _Spec("Partitions that this process consumes.", ("topic",)),
}
_HISTOGRAMS: dict[HistogramName, tuple[_Spec, tuple[float, ...]]] = {
    "tollhouse_ingress_time_to_claim_seconds": (
        _Spec("From acceptance to a worker's claim: the queue delay."),
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    ),
    "tollhouse_worker_first_byte_seconds": (
        _Spec("From the vendor call's start to its first byte.", ("vendor",)),
        (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    ),
    "tollhouse_billing_batch_seconds": (
        _Spec("From fixing a batch's bounds to its commit."),
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ),
    "tollhouse_billing_authority_seconds": (
        _Spec("From reading spend commands to the states that came of them being read back."),
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ),
}


class Metrics:
    """The process's metrics, registered once in the registry that /metrics serves."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._counters = {name: Counter(name, s.help, s.labels, registry=registry) for name, s in _COUNTERS.items()}
        self._gauges = {name: Gauge(name, s.help, s.labels, registry=registry) for name, s in _GAUGES.items()}
        self._histograms = {
            name: Histogram(name, s.help, s.labels, registry=registry, buckets=buckets)
            for name, (s, buckets) in _HISTOGRAMS.items()
        }

    def counter(self, name: CounterName) -> Counter:
        return self._counters[name]

    def gauge(self, name: GaugeName) -> Gauge:
        return self._gauges[name]

    def histogram(self, name: HistogramName) -> Histogram:
        return self._histograms[name]


METRIC_NAMES: frozenset[str] = frozenset({*_COUNTERS, *_GAUGES, *_HISTOGRAMS})
