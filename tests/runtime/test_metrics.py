"""The one list of metrics."""

import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from runtime import metrics
from runtime.metrics import METRIC_NAMES, CounterName, GaugeName, HistogramName, Metrics

KINDS: tuple[tuple[Any, Mapping[Any, Any]], ...] = (
    (CounterName, metrics._COUNTERS),
    (GaugeName, metrics._GAUGES),
    (HistogramName, metrics._HISTOGRAMS),
)
# Values of which there are few; an id as a label would be a new time series for each request.
LABELS = {"answer", "failure", "outcome", "replayed", "result", "status", "surface", "table", "topic", "vendor"}


@pytest.mark.parametrize(("names", "specs"), KINDS)
def test_every_name_that_mypy_lets_through_has_its_metric_and_no_other_has(
    names: Any, specs: Mapping[Any, Any]
) -> None:
    assert set(get_args(names)) == set(specs)


def test_each_metric_is_registered_and_served_under_its_name() -> None:
    registry = CollectorRegistry()
    fleet = Metrics(registry)
    for counter in get_args(CounterName):
        fleet.counter(counter)
    for gauge in get_args(GaugeName):
        fleet.gauge(gauge)
    for histogram in get_args(HistogramName):
        fleet.histogram(histogram)
    served = set(re.findall(r"^# TYPE (\S+) ", generate_latest(registry).decode(), re.MULTILINE))
    assert served >= METRIC_NAMES


@pytest.mark.parametrize("name", sorted(METRIC_NAMES))
def test_names_follow_prometheus_conventions(name: str) -> None:
    assert re.fullmatch(r"tollhouse_(ingress|worker|billing|kafka)_[a-z0-9]+(_[a-z0-9]+)*", name)
    # Prometheus's base unit of time is the second, and only counters are totals.
    assert not re.search(r"_(ms|milliseconds|minutes|count|sum|bucket)$", name)
    assert name.endswith("_total") == (name in metrics._COUNTERS)
    assert name.endswith("_seconds") == (name in metrics._HISTOGRAMS)


def test_helps_are_sentences_and_labels_have_few_values() -> None:
    specs = [*metrics._COUNTERS.values(), *metrics._GAUGES.values(), *(s for s, _ in metrics._HISTOGRAMS.values())]
    for spec in specs:
        assert spec.help[0].isupper()
        assert spec.help.endswith(".")
        assert set(spec.labels) <= LABELS


@pytest.mark.parametrize("name", sorted(metrics._HISTOGRAMS))
def test_buckets_rise(name: HistogramName) -> None:
    _, buckets = metrics._HISTOGRAMS[name]
    assert list(buckets) == sorted(set(buckets))
    assert buckets[0] > 0


def test_two_sets_of_metrics_do_not_share_counts() -> None:
    one, other = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    one.gauge("tollhouse_ingress_open_requests").set(5)
    assert other.registry.get_sample_value("tollhouse_ingress_open_requests") == 0
