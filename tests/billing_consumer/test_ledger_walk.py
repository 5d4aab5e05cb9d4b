"""The machine of test_ledger_machine, driven by weighted chance: Hypothesis tries all that may happen about equally
often, and so rarely gets far. This goes far, says how far, and fails if it met too little. Each walk has
two or three kinds of accidents, and those often: what breaks a law is mostly one accident after another of its kind."""

from collections import Counter
from random import Random

import pytest

from tests.billing_consumer.ledger_world import LIMIT, USAGE_PARTITIONS
from tests.billing_consumer.test_ledger_machine import Budgets

STEPS = 120
SEEDS = 15
BATCHES = 8

DAILY = {
    "start_requests": 14,
    "start_request": 6,
    "finish_requests": 3,
    "finish_request": 8,
    "all_goes_well": 5,
    "settle": 6,
    "clocks": 5,
    "ask": 3,
    "renew": 5,
    "rotate": 2,
    "close_drained": 3,
    "read": 3,
    "authority_works": 5,
    "clickhouse_answers": 2,
    "time_passes": 6,
}
ACCIDENTS = (
    "report_late",
    "send_late",
    "crash_ingress",
    "freeze_or_thaw",
    "authority_is_replaced",
    "stale_authority_writes",
    "wall_clock_jumps",
    "commands_come_again",
    "midnight_comes",
    "limit_changes",
)


def step(machine: Budgets, rule: str, random: Random) -> None:
    n, partition = random.randrange(10_000), random.randrange(USAGE_PARTITIONS)
    some, yes = random.randint(1, LIMIT // 3), random.random() < 0.7
    match rule:
        case "start_requests":
            bounds = [random.randint(1, LIMIT // 5) for _ in range(random.randint(1, 4))]
            machine.start_requests(n, bounds, random.randint(0, 100), random.choice([0, some, LIMIT]))
        case "start_request":
            machine.start_request(n, some, random.randint(0, 100), partition)
        case "finish_request" | "finish_requests":
            getattr(machine, rule)(n, random.random() < 0.2)
        case "ask":
            machine.ask(n, some, random.choice([0, some, LIMIT]), yes)
        case "renew":
            machine.renew(n, not yes)
        case "read":
            machine.read(n, random.randint(1, 30))
        case "settle":
            machine.settle(partition, random.randint(1, 8), yes)
        case "authority_works":
            machine.authority_works(random.randint(1, 30), yes, random.random() < 0.7)
        case "authority_is_replaced":
            machine.authority_is_replaced(random.uniform(-4.0, 4.0), yes)
        case "stale_authority_writes":
            if machine.world.zombies:
                machine.stale_authority_writes(n, random.randint(1, 30))
        case "wall_clock_jumps":
            machine.wall_clock_jumps(random.choice([-90_000.0, -3_600.0, -60.0, 0.0, 60.0, 3_600.0, 90_000.0]))
        case "commands_come_again":
            machine.commands_come_again(n, random.randint(1, 5))
        case "time_passes":
            machine.time_passes(random.choice([0.5, 0.5, 3.0, 3.0, 8.0, 13.0, 20.0, 45.0, 300.0]))
        case "limit_changes":
            machine.limit_changes(random.choice([0, LIMIT // 2, LIMIT, 2 * LIMIT]), random.choice([0, some]), n % 400)
        case "clocks" | "clickhouse_answers" | "midnight_comes":
            getattr(machine, rule)()
        case _:
            getattr(machine, rule)(n)


def walk(seed: int) -> Counter[str]:
    """What was met. The same seed is the same walk."""
    random = Random(seed)
    machine = Budgets()
    machine.begin(seed % 4 == 0)
    weights = DAILY | {rule: random.randint(2, 8) for rule in random.sample(ACCIDENTS, random.randint(1, 3))}
    for _ in range(STEPS):
        step(machine, random.choices(list(weights), list(weights.values()))[0], random)
        machine.laws_hold()
    met = machine.met()
    machine.teardown()
    return met


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_walk_breaks_a_law(batch: int) -> None:
    met: Counter[str] = Counter()
    for seed in range(batch * SEEDS, (batch + 1) * SEEDS):
        met += walk(seed)
    print(f"{SEEDS} walks of {STEPS} steps: " + ", ".join(f"{count} {what}" for what, count in sorted(met.items())))
    for what in ("requests", "leases", "periods", "refusals"):
        assert met[what] >= SEEDS, f"the walks met too little: {dict(met)}"
    assert met["reported by audit"]
    assert met["take-overs"]
