"""One replica that has each limit for itself: what is let through, what is refused, and what clients are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.admission import Ask, Refusal
from ingress.rates.rate_limits import RateTicket, fair_tokens
from ingress.rates.wording import duration
from ingress.worst_case import TEMPLATE_TOKENS, WorstCase
from schemas.failures import FailureKind
from schemas.tenancy import Limits
from tests.ingress.rates.fleet import Fleet, Replica, ask_of

RPM_2 = Limits(requests_per_minute=2)
TPM_1000 = Limits(tokens_per_minute=1000)
ONE_AT_A_TIME = Limits(concurrent_requests=1)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(1)


@pytest.fixture
def alone(fleet: Fleet) -> Replica:
    return fleet.replicas[0]


def test_without_limits_everything_goes_and_nothing_is_said(alone: Replica) -> None:
    ticket = alone.admit(ask_of())
    assert ticket.headers == {}
    ticket.answered()
    ticket.settle(1, 1)
    assert alone.announcements.next_beat().limits == ()


def test_the_third_request_of_a_minute_is_refused_and_told_when_to_come_back(fleet: Fleet, alone: Replica) -> None:
    ask = ask_of(RPM_2)
    first = alone.admit(ask)
    assert first.headers == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1m1s",
    }
    fleet.clock.move(20)
    alone.admit(ask)

    refusal = alone.refusal(ask)
    failure = refusal.failure
    assert (failure.kind, failure.code) == (FailureKind.RATE_LIMITED, "requests_per_minute")
    assert failure.text == "The rate limit of this API key is reached: 2 requests per minute."
    assert failure.retry_after_s == 41
    assert refusal.headers["x-ratelimit-remaining-requests"] == "0"
    assert refusal.headers["x-ratelimit-reset-requests"] == "1m1s"
    assert alone.times_short == 0  # nobody else has any of it

    fleet.clock.move(failure.retry_after_s)
    alone.admit(ask)
    alone.refusal(ask)


def test_the_project_is_named_where_it_is_the_project_that_refuses(alone: Replica) -> None:
    ask = ask_of(Limits(requests_per_minute=10), Limits(requests_per_minute=1))
    ticket = alone.admit(ask)
    # Of the two, what is tighter.
    assert ticket.headers["x-ratelimit-limit-requests"] == "1"
    assert "this project" in alone.refusal(ask).failure.text


def test_a_request_that_the_project_refuses_has_taken_nothing_of_the_key(alone: Replica) -> None:
    key = Limits(requests_per_minute=5, tokens_per_minute=500, concurrent_requests=5)
    alone.admit(ask_of(key, RPM_2, tokens=10))
    alone.admit(ask_of(key, RPM_2, tokens=10))
    before = alone.admit(ask_of(key, tokens=10)).headers
    for _ in range(5):
        alone.refusal(ask_of(key, RPM_2, tokens=10))
    after = alone.admit(ask_of(key, tokens=10)).headers
    assert int(before["x-ratelimit-remaining-requests"]) - int(after["x-ratelimit-remaining-requests"]) == 1
    assert int(before["x-ratelimit-remaining-tokens"]) - int(after["x-ratelimit-remaining-tokens"]) == 10


def test_concurrency_is_free_again_once_each_answer_is_out(alone: Replica) -> None:
    ask = ask_of(ONE_AT_A_TIME)
    ticket = alone.admit(ask)
    refused = alone.refusal(ask).failure
    assert (refused.code, refused.retry_after_s) == ("concurrent_requests", 1)
    ticket.answered()
    ticket.answered()  # said twice, it frees one place
    alone.admit(ask)
    alone.refusal(ask)


def test_tokens_are_corrected_downwards_at_once(alone: Replica) -> None:
    ask = ask_of(TPM_1000, tokens=800)
    ticket = alone.admit(ask)
    assert alone.refusal(ask).failure.code == "tokens_per_minute"
    ticket.settle(5, 150)
    ticket.settle(5, 0)  # once
    assert ticket.headers["x-ratelimit-remaining-tokens"] == "850"
    alone.admit(ask)


def test_tokens_beyond_the_estimate_hold_up_later_requests(fleet: Fleet, alone: Replica) -> None:
    ticket = alone.admit(ask_of(TPM_1000, tokens=100))
    fleet.clock.move(30)
    ticket.settle(5, 1900)
    assert ticket.headers["x-ratelimit-remaining-tokens"] == "0"
    fleet.clock.move(50)  # the estimate is gone from the minute, what was over it is not
    refused = alone.refusal(ask_of(TPM_1000, tokens=1)).failure
    assert refused.retry_after_s == 11
    fleet.clock.move(11)
    alone.admit(ask_of(TPM_1000, tokens=1))


def test_a_request_larger_than_the_limit_is_not_asked_to_come_back(alone: Replica) -> None:
    refused = alone.refusal(ask_of(TPM_1000, tokens=1001)).failure
    assert refused.retry_after_s is None
    assert "1001 tokens" in refused.text
    alone.admit(ask_of(TPM_1000, tokens=1000))


def test_a_long_input_passes_alone_because_it_may_be_an_image(fleet: Fleet, alone: Replica) -> None:
    caller = ask_of(TPM_1000).caller
    image = Ask(caller, (), WorstCase(0, 0, 100, True, 200_000), 0)
    ticket = alone.admit(image)
    assert alone.refusal(image).failure.retry_after_s == 60
    ticket.settle(1, 300)
    assert ticket.headers["x-ratelimit-remaining-tokens"] == "700"
    alone.admit(ask_of(TPM_1000, tokens=600))
    alone.refusal(image)
    fleet.clock.move(61)
    alone.admit(image).settle(1, 5000)
    fleet.clock.move(59)
    alone.refusal(ask_of(TPM_1000, tokens=1))


def test_what_a_later_step_refuses_was_never_there(fleet: Fleet, alone: Replica) -> None:
    limits = Limits(requests_per_minute=1, tokens_per_minute=10, concurrent_requests=1)
    for _ in range(20):
        ticket = alone.admit(ask_of(limits, limits, tokens=10))
        ticket.cancel()
        ticket.settle(9, 9)
        ticket.answered()
        fleet.clock.move(0.1)
    alone.admit(ask_of(limits, limits, tokens=10))


def test_a_changed_limit_holds_for_the_next_request(alone: Replica) -> None:
    alone.admit(ask_of(RPM_2))
    alone.admit(ask_of(RPM_2))
    alone.refusal(ask_of(RPM_2))
    alone.admit(ask_of(Limits(requests_per_minute=3)))
    alone.refusal(ask_of(Limits(requests_per_minute=3)))
    alone.admit(ask_of(Limits(tokens_per_minute=3)))
    alone.refusal(ask_of(Limits(requests_per_minute=1)))


def test_meters_that_nobody_uses_are_forgotten(fleet: Fleet, alone: Replica) -> None:
    ticket = alone.admit(ask_of(RPM_2))
    for _ in range(80):
        fleet.beat()
    assert list(alone.meters.in_use())  # not settled yet
    ticket.answered()
    ticket.settle(0, 0)
    fleet.beat()
    assert not list(alone.meters.in_use())


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5)), max_size=60),
    st.integers(1, 12),
)
def test_no_sixty_seconds_have_more_than_the_limit(steps: list[tuple[float, int]], limit: int) -> None:
    fleet = Fleet(1)
    ask = ask_of(Limits(requests_per_minute=limit))
    times: list[float] = []
    for wait_s, requests in steps:
        fleet.clock.move(wait_s)
        now_s = fleet.clock.monotonic_s()
        let_through = fleet.replicas[0].let_through(ask, requests)
        times += [now_s] * let_through
        assert sum(at_s > now_s - 60 for at_s in times) <= limit
        # And not needlessly fewer: a second's counts go together, at its end.
        if let_through < requests:
            assert sum(at_s > now_s - 61 for at_s in times) >= limit


@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 2000), st.sampled_from(["settle", "cancel"])), max_size=30)
)
def test_when_all_is_over_only_what_was_really_used_is_left(requests: list[tuple[int, int, str]]) -> None:
    fleet = Fleet(1)
    alone = fleet.replicas[0]
    limits = Limits(requests_per_minute=10**6, tokens_per_minute=10**9, concurrent_requests=100)
    tickets: list[tuple[RateTicket, int, str]] = []
    for estimate, used, end in requests:
        ticket = alone.rates.admit(ask_of(limits, tokens=estimate))
        assert not isinstance(ticket, Refusal)
        tickets.append((ticket, used, end))
    for ticket, used, end in tickets:
        if end == "cancel":
            ticket.cancel()
        else:
            ticket.answered()
            ticket.settle(0, used)
    settled = [used for _, used, end in tickets if end == "settle"]
    probe = alone.admit(ask_of(limits))
    assert 10**9 - int(probe.headers["x-ratelimit-remaining-tokens"]) == sum(settled)
    assert 10**6 - int(probe.headers["x-ratelimit-remaining-requests"]) == len(settled) + 1


def test_a_worst_case_is_taken_fairly() -> None:
    capped = WorstCase(0, 0, output_tokens=700, capped=True, tokens=4700 + TEMPLATE_TOKENS)
    assert fair_tokens(capped) == 1000 + 700
    open_end = WorstCase(0, 0, output_tokens=16_000, capped=False, tokens=20_000 + TEMPLATE_TOKENS)
    assert fair_tokens(open_end) == 1000 + 512
    assert fair_tokens(WorstCase(0, 0, output_tokens=100, capped=False, tokens=100)) == 100


def test_durations_are_written_as_openai_writes_them() -> None:
    assert [duration(seconds) for seconds in (0, 0.2, 1, 59.1, 60, 61, 360)] == [
        "0s",
        "1s",
        "1s",
        "1m0s",
        "1m0s",
        "1m1s",
        "6m0s",
    ]
