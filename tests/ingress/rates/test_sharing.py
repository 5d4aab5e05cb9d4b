"""Several replicas: shares follow demand, stay when nothing is said, and are taken over from the dead."""

import pytest

from ingress.rates.shares import LIFE_BEATS
from schemas.tenancy import Limits
from tests.ingress.rates.fleet import CONCURRENT, REQUESTS, Fleet, ask_of

RPM_100 = Limits(requests_per_minute=100)
ONE_AT_A_TIME = Limits(concurrent_requests=1)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_sided_demand_has_most_of_the_limit_within_three_announcements(which: int) -> None:
    fleet = Fleet(3)
    busy = fleet.replicas[which]
    let_through = busy.let_through(ask_of(RPM_100), 100)
    assert let_through in (33, 34)
    for _ in range(3):
        fleet.beat()
    assert busy.shares.own(REQUESTS, 100) == 94
    # The others have kept enough to begin at once.
    assert sorted(fleet.shares_of(REQUESTS, 100)) == [3, 3, 94]
    assert let_through + busy.let_through(ask_of(RPM_100), 100) == 94


def test_demand_divides_in_proportion() -> None:
    fleet = Fleet(2)
    limits = Limits(requests_per_minute=1000)
    for _ in range(4):
        fleet.replicas[0].let_through(ask_of(limits), 6)
        fleet.replicas[1].let_through(ask_of(limits), 2)
        fleet.beat()
    shares = fleet.shares_of(REQUESTS, 1000)
    assert sum(shares) == 1000
    assert 700 <= shares[0] <= 750


def test_what_was_used_in_the_minute_does_not_move() -> None:
    fleet = Fleet(2)
    first, second = fleet.replicas
    assert first.let_through(ask_of(RPM_100), 50) == 50
    later = 0
    for _ in range(10):
        later += second.let_through(ask_of(RPM_100), 20)
        fleet.beat()
    assert 40 <= later <= 50
    for _ in range(55):
        later += second.let_through(ask_of(RPM_100), 20)
        fleet.beat()
    assert later > 80  # the first replica's minute is over


def test_a_limit_of_one_is_one_and_comes_to_whoever_asks() -> None:
    fleet = Fleet(3)
    ask = ask_of(ONE_AT_A_TIME)
    assert sum(replica.let_through(ask, 2) for replica in fleet.replicas) == 1
    for asking in (2, 0, 1):
        fleet = Fleet(3)
        replica = fleet.replicas[asking]
        tried = replica.let_through(ask, 1)
        for _ in range(3):
            if not tried:
                fleet.beat()
                tried = replica.let_through(ask, 1)
        assert tried == 1
        for _ in range(20):
            fleet.beat()
            assert sum(each.let_through(ask, 1) for each in fleet.replicas) == 0  # it is still in flight
        assert sum(fleet.shares_of(CONCURRENT, 1)) == 1


def test_being_short_is_said_and_answered_out_of_turn() -> None:
    fleet = Fleet(3)
    first, second, third = fleet.replicas
    assert third.let_through(ask_of(ONE_AT_A_TIME), 1) == 0
    assert third.times_short == 1
    third.say(third.announcements.out_of_turn(asked=False, greet=False))
    for each in fleet.replicas:
        each.read()
    assert first.announcements.out_of_turn(asked=False, greet=False) is None  # nothing of its own to say
    first.say(first.announcements.out_of_turn(asked=True, greet=False))
    assert second.announcements.out_of_turn(asked=True, greet=False) is None  # it has nothing to give
    for each in fleet.replicas:
        each.read()
    third.say(third.announcements.out_of_turn(asked=False, greet=False))
    for each in fleet.replicas:
        each.read()
    assert third.let_through(ask_of(ONE_AT_A_TIME), 1) == 1
    assert third.announcements.out_of_turn(asked=False, greet=False) is None  # and so it ends


def test_a_newcomer_has_nothing_until_all_know_it_and_its_part_then() -> None:
    fleet = Fleet(2)
    newcomer = fleet.join("r2")
    newcomer.beat()
    newcomer.read()
    assert newcomer.let_through(ask_of(RPM_100), 1) == 0
    fleet.beat()
    fleet.beat()
    assert newcomer.shares.joined
    assert sum(fleet.shares_of("key/other/requests", 100)) == 100
    assert newcomer.shares.own("key/other/requests", 100) == 33


def test_a_newcomer_that_does_not_know_all_yet_has_no_part_that_is_too_large() -> None:
    fleet = Fleet(2)
    first, second = fleet.replicas
    slow = fleet.join("r9")  # has read that there are two, and says nothing yet
    quick = fleet.join("r3")
    for _ in range(2):
        for speaker in (first, second, quick):
            speaker.beat()
        for reader in (first, second, quick):
            reader.read()
    slow.beat()
    for speaker in (first, second, quick):
        speaker.read()
        speaker.beat()
    first.read()
    assert first.let_through(ask_of(Limits(requests_per_minute=10)), 1) == 1
    slow.read()
    first.beat()
    slow.read()  # and first has not yet read what it has itself said
    assert sum(fleet.shares_of(REQUESTS, 10)) <= 10


def test_the_silent_are_buried_and_their_shares_taken_over() -> None:
    fleet = Fleet(3)
    for replica in fleet.replicas:
        replica.let_through(ask_of(RPM_100), 10)
    fleet.beat()
    dead = fleet.replicas.pop()
    for _ in range(LIFE_BEATS - 1):
        fleet.beat()
    assert dead.id in fleet.replicas[0].shares.fellows
    fleet.beat()
    assert dead.id not in fleet.replicas[0].shares.fellows
    fleet.beat()
    fleet.beat()
    assert sum(fleet.shares_of(REQUESTS, 100)) == 100
    # One that was only slow finds itself dead in the log, and has nothing until it has spoken again.
    dead.read()
    assert dead.shares.own(REQUESTS, 100) == 0
    fleet.replicas.append(dead)
    fleet.settle()
    fleet.settle()
    assert dead.shares.joined
    assert dead.shares.own(REQUESTS, 100) > 0
    assert sum(fleet.shares_of(REQUESTS, 100)) <= 100


def test_one_that_leaves_is_gone_at_once() -> None:
    fleet = Fleet(2)
    leaving = fleet.replicas.pop()
    leaving.say(leaving.announcements.farewell())
    fleet.replicas[0].read()
    assert fleet.shares_of(REQUESTS, 100) == [100]


def test_a_limit_that_nobody_uses_any_more_is_forgotten_by_all() -> None:
    fleet = Fleet(3)
    ticket = fleet.replicas[0].admit(ask_of(RPM_100))
    ticket.answered()
    ticket.settle(0, 0)
    for _ in range(4):
        fleet.beat()
    assert fleet.replicas[1].announcements.next_beat().limits
    for _ in range(70):
        fleet.beat()
    assert all(not replica.announcements.next_beat().limits for replica in fleet.replicas)
    assert sorted(fleet.shares_of(REQUESTS, 100)) == [33, 33, 34]


def test_a_large_request_passes_where_most_of_the_limit_is_and_only_once() -> None:
    fleet = Fleet(3)
    limits = Limits(tokens_per_minute=1000)
    ask = ask_of(limits, tokens=960)  # more than any share can be: a part of the limit is spread
    busy = fleet.replicas[1]
    passed = 0
    for _ in range(5):
        passed += busy.let_through(ask, 1)
        fleet.beat()
    assert passed == 1
