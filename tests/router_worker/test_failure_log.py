"""A vendor that is down is told once in a while, not once a call."""

from structlog.testing import capture_logs

from router_worker.failure_log import ONCE_IN_S, FailureLog
from schemas.failures import Failure, FailureKind
from tests.fakes.clock import HandClock

DOWN = Failure(kind=FailureKind.VENDOR_ERROR)
NO_KEY = Failure(kind=FailureKind.VENDOR_REFUSED_KEY)


def test_one_line_for_each_vendor_and_kind_and_then_the_count_of_the_rest() -> None:
    clock = HandClock()
    failures = FailureLog(clock)
    with capture_logs() as logs:
        for _ in range(3):
            failures.note("a", DOWN, status=500)
        failures.note("a", NO_KEY)
        failures.note("b", DOWN)
        clock.move(ONCE_IN_S)
        failures.note("a", DOWN, status=500)
    assert [(line["vendor"], line["failure"], line["left_out"]) for line in logs] == [
        ("a", "vendor_error", 0),
        ("a", "vendor_refused_key", 0),
        ("b", "vendor_error", 0),
        ("a", "vendor_error", 2),
    ]
    assert {line["log_level"] for line in logs} == {"warning"}
