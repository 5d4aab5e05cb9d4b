"""G4 over the whole protocol: real accounts, the real authority, and everything that can go wrong between them."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ingress.budgets.fleet import Fleet

STEPS = 500
LIMIT = 12_000


def one_step(fleet: Fleet) -> None:
    ingress = fleet.random.choice(fleet.ingresses)
    happenings: tuple[tuple[float, Callable[[], object]], ...] = (
        (0.25, lambda: fleet.carry(ingress)),
        (0.20, lambda: fleet.arrive(ingress)),
        (0.12, lambda: fleet.try_again(ingress)),
        (0.08, lambda: fleet.finish(ingress)),
        (0.03, lambda: fleet.extend(ingress)),
        (0.01, fleet.finish_orphan),
        (0.12, lambda: fleet.speak(ingress)),
        (0.12, lambda: fleet.deliver(ingress)),
        (0.02, fleet.deliver_late),
        (0.12, fleet.decide),
        (0.12, lambda: fleet.hear(ingress)),
        (0.06, fleet.bill),
        (0.04, fleet.say_clock),
        (0.01, fleet.authority_dies),
        (0.004, lambda: fleet.ingress_dies(ingress)),
        (0.01, lambda: setattr(ingress, "cut_off", not ingress.cut_off)),
        (0.08, lambda: fleet.pass_time(fleet.random.choice((0.02, 0.05, 0.3, 1.0)))),
        (0.006, lambda: fleet.pass_time(fleet.random.choice((5.0, 20.0, 70.0)))),
    )
    (happening,) = fleet.random.choices([h for _, h in happenings], [weight for weight, _ in happenings])
    happening()


@given(st.integers(min_value=0, max_value=2**32))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_limit_is_never_passed_and_nothing_is_stranded(seed: int) -> None:
    fleet = Fleet(seed, LIMIT)
    for _ in range(STEPS):
        one_step(fleet)
        assert fleet.committed_money <= LIMIT
    fleet.settle_down()
    state = fleet.state
    assert state is not None
    assert state.leases == ()
    assert state.spent_pico_usd == fleet.spent
    assert not state.short


def test_nearly_all_of_it_can_be_spent() -> None:
    """By three ingresses at once, with requests that hold up to 5 % of it, and mostly cost a tenth of that."""
    limit = 100_000
    for seed in range(3):
        fleet = Fleet(seed, limit)
        for _ in range(1200):
            for ingress in fleet.ingresses:
                fleet.arrive(ingress)
                fleet.try_again(ingress)
                while len(ingress.calls) > 3:
                    fleet.finish(ingress)
            fleet.calm_step(0.1)
            assert fleet.committed_money <= limit
        fleet.settle_down()
        assert fleet.spent >= limit * 95 // 100
