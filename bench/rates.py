"""What the rate limits cost a request at the ingress: to admit it, and all until it is over.

    python -m bench.rates [--rounds 50000]

Prints microseconds of CPU per request, the best of several runs (the others were disturbed), for a key without limits,
and for one with three limits whose project has three too. Targets: 3 and 8.
"""

import argparse
import time
from collections.abc import Callable

from ingress.admission import Ask, Refusal
from ingress.directory import Caller
from ingress.rates.announcements import Announcements
from ingress.rates.meters import Meters
from ingress.rates.rate_limits import RateLimits
from ingress.rates.shares import Shares
from ingress.worst_case import WorstCase
from runtime.clock import SystemClock
from schemas.tenancy import NO_LIMITS, ApiKey, Limits, Project

RUNS = 7
KEYS = 10_000
ALL_THREE = Limits(requests_per_minute=10**9, tokens_per_minute=10**12, concurrent_requests=10**6)


def ready_rates() -> RateLimits:
    clock = SystemClock()
    shares = Shares("bench")
    meters = Meters(shares)
    announcements = Announcements(meters, shares, clock)
    announcements.hear(announcements.next_beat())
    return RateLimits(meters, shares, clock, lambda: None)


def asks(limits: Limits) -> list[Ask]:
    worst_case = WorstCase(1000, 10, 500, True, 2500)
    project = Project(project_id="p", organization_id="o", limits=limits)
    keys = [ApiKey(api_key_id=f"k{n}", project_id="p", key_sha256="0" * 64, limits=limits) for n in range(KEYS)]
    return [Ask(Caller(key, project), (), worst_case, 0) for key in keys]


def best_us(rounds: int, work: Callable[[Ask], None], asked: list[Ask]) -> float:
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        for number in range(rounds):
            work(asked[number % KEYS])
        times.append((time.process_time() - started) / rounds * 1e6)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.rates", description="Cost of the rate limits per request.")
    parser.add_argument("--rounds", type=int, default=50_000)
    rounds = parser.parse_args().rounds
    for label, limits in (("no limits", NO_LIMITS), ("3 limits on key and project", ALL_THREE)):
        rates = ready_rates()

        def admit(ask: Ask, rates: RateLimits = rates) -> None:
            ticket = rates.admit(ask)
            assert not isinstance(ticket, Refusal)

        def whole(ask: Ask, rates: RateLimits = rates) -> None:
            ticket = rates.admit(ask)
            assert not isinstance(ticket, Refusal)
            _ = ticket.headers
            ticket.answered()
            ticket.settle(12345, 900)

        asked = asks(limits)
        print(
            f"{label}: admit {best_us(rounds, admit, asked):.2f} µs, "
            f"with headers, answered and settled {best_us(rounds, whole, asked):.2f} µs"
        )


if __name__ == "__main__":
    main()
