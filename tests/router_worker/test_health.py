"""When a route is left alone, and for how long."""

import pytest

from router_worker.health import MAX_COOLDOWN_S, RouteHealth
from schemas.failures import FAILURES, Failure, FailureKind

K = FailureKind


@pytest.mark.parametrize(
    ("kind", "retry_after_s", "until_s"),
    [
        (K.VENDOR_RATE_LIMITED, None, 105.0),
        (K.VENDOR_RATE_LIMITED, 2.0, 105.0),
        (K.VENDOR_RATE_LIMITED, 30.0, 130.0),
        (K.VENDOR_RATE_LIMITED, 900.0, 100.0 + MAX_COOLDOWN_S),
        (K.VENDOR_REFUSED_KEY, None, 160.0),
        (K.VENDOR_PAYMENT_REQUIRED, None, 160.0),
        (K.VENDOR_MODEL_UNKNOWN, None, 160.0),
    ],
)
def test_one_is_enough_where_the_next_call_would_meet_the_same(
    kind: FailureKind, retry_after_s: float | None, until_s: float
) -> None:
    health = RouteHealth()
    health.failed("a/m", Failure(kind=kind, retry_after_s=retry_after_s), 100.0)
    assert dict(health.unhealthy_until()) == {"a/m": until_s}


@pytest.mark.parametrize(
    "kind", [K.VENDOR_ERROR, K.VENDOR_UNREACHABLE, K.VENDOR_FIRST_BYTE_TIMEOUT, K.VENDOR_BROKE_OFF, K.VENDOR_GARBLED]
)
def test_others_need_three_in_a_row(kind: FailureKind) -> None:
    health = RouteHealth()
    for _ in range(2):
        health.failed("a/m", Failure(kind=kind), 100.0)
    health.succeeded("a/m")
    for _ in range(2):
        health.failed("a/m", Failure(kind=kind), 100.0)
        health.failed("b/m", Failure(kind=kind), 100.0)
    assert not health.unhealthy_until()
    health.failed("a/m", Failure(kind=kind), 100.0)
    assert dict(health.unhealthy_until()) == {"a/m": 100.0 + FAILURES[kind].cooldown_s}


def test_after_three_each_further_failure_extends() -> None:
    health = RouteHealth()
    for now_s in (1.0, 2.0, 3.0, 50.0):
        health.failed("a/m", Failure(kind=K.VENDOR_ERROR), now_s)
    assert health.unhealthy_until()["a/m"] == 55.0


def test_a_long_cooldown_is_not_shortened_by_a_short_one() -> None:
    health = RouteHealth()
    health.failed("a/m", Failure(kind=K.VENDOR_REFUSED_KEY), 100.0)
    health.failed("a/m", Failure(kind=K.VENDOR_RATE_LIMITED), 101.0)
    assert health.unhealthy_until()["a/m"] == 160.0


def test_success_heals() -> None:
    health = RouteHealth()
    health.failed("a/m", Failure(kind=K.VENDOR_RATE_LIMITED), 100.0)
    health.succeeded("a/m")
    assert not health.unhealthy_until()


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if FAILURES[kind].cooldown_s == 0])
def test_what_is_not_the_routes_fault_does_not_count(kind: FailureKind) -> None:
    health = RouteHealth()
    for _ in range(5):
        health.failed("a/m", Failure(kind=kind), 100.0)
    assert not health.unhealthy_until()
