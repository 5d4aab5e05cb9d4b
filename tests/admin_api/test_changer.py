"""Changes of several replicas at once, on a log in memory: each holds or is refused, and none gets lost or doubled."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_api.changer import Changer, Plan, Planner
from admin_api.checks import check_new
from admin_api.config_state import ConfigState
from admin_api.drafts import Author, draft
from admin_api.operation import Refusal
from schemas.config_record import CONFIG
from schemas.tenancy import Organization
from tests.admin_api.memory_log import Entry, MemoryLog, MemoryReplica, Term


def replica(log: MemoryLog, name: str, rng: Random | None = None) -> tuple[MemoryReplica, Changer]:
    made = MemoryReplica(log, name, rng)
    return made, Changer(made.state, made, made, Random(name).randbytes, limit_s=20)


AUTHOR = Author("somebody", 1, Random(0).randbytes)


def making(organization_id: str, name: str) -> Planner:
    entity = Organization(organization_id=organization_id, name=name)

    def planner(state: ConfigState) -> Plan:
        check_new(state, "organization", organization_id, organization_id, "organization_id")
        return Plan((draft(state, entity, "created", AUTHOR),))

    return planner


def record_of(organization_id: str, name: str) -> bytes:
    entity = Organization(organization_id=organization_id, name=name)
    return CONFIG.encode(draft(ConfigState(), entity, "created", AUTHOR))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), replicas=st.integers(2, 4), changes=st.integers(1, 12), names=st.integers(1, 6))
def test_exactly_one_maker_of_each_id_wins_everywhere(seed: int, replicas: int, changes: int, names: int) -> None:
    async def run() -> None:
        log, rng = MemoryLog(), Random(seed)
        fleet = [replica(log, f"r{number}", rng) for number in range(replicas)]
        winners: dict[str, list[str]] = {}
        codes: set[str] = set()

        async def change(number: int) -> None:
            name, actor = f"o{rng.randrange(names)}", f"a{number}"
            try:
                await fleet[rng.randrange(replicas)][1].change(making(name, actor))
            except Refusal as refusal:
                codes.add(refusal.code)
            else:
                winners.setdefault(name, []).append(actor)

        await asyncio.gather(*(change(number) for number in range(changes)))
        assert codes <= {"already_exists", "busy", "outcome_unknown"}
        for reader, _ in fleet:
            reader.read()
            held = {each.organization_id: [each.name] for each in reader.state.every(Organization)}
            if "outcome_unknown" not in codes:
                assert held == winners
            assert held.items() >= winners.items()

    asyncio.run(run())


async def test_a_deposed_replica_decides_anew() -> None:
    log = MemoryLog()
    (first, first_changer), (_, second_changer) = replica(log, "a"), replica(log, "b")
    await first_changer.change(making("one", "a"))
    await second_changer.change(making("two", "b"))
    # The first one does not know yet that it is deposed, and would make an id that is taken.
    assert first.state.get(Organization, "two") is None
    with pytest.raises(Refusal) as refused:
        await first_changer.change(making("two", "a"))
    assert refused.value.code == "already_exists"
    assert first.state.get(Organization, "two") == Organization(organization_id="two", name="b")


async def test_what_a_deposed_writer_wrote_over_is_said_once_more() -> None:
    log = MemoryLog()
    (first, first_changer), (second, second_changer) = replica(log, "a"), replica(log, "b")
    await first_changer.change(making("one", "a"))
    stale = Term(*log.entries[-1].stamp.rank)
    await second_changer.change(making("two", "b"))
    for name in ("one", "unknown"):
        await first.write(stale, [(f"organization:{name}", record_of(name, "void"))])
    second.read()
    assert second.void_keys(0) == {"organization:one", "organization:unknown"}
    await second_changer.mend()
    assert second.void_keys(0) == {"organization:unknown"}
    assert second.state.get(Organization, "one") == Organization(organization_id="one", name="a")
    before = len(log.entries)
    await second_changer.mend()
    assert len(log.entries) == before, "a key that never had a valid record needs none"


async def test_a_write_that_was_given_up_does_not_count_afterwards() -> None:
    log = MemoryLog()
    held, _ = replica(log, "a")
    changer = Changer(held.state, held, held, Random(0).randbytes, limit_s=0.05)
    await changer.change(making("one", "a"))
    held.hangs = True
    with pytest.raises(Refusal) as refused:
        await changer.change(making("two", "lost"))
    assert refused.value.code == "outcome_unknown"
    held.hangs = False
    term_before = log.entries[-1].stamp
    await changer.change(making("two", "kept"))
    assert log.entries[-1].stamp.rank > term_before.rank
    # The record that was on its way all the time arrives at last.
    log.entries.append(Entry(term_before, "organization:two", record_of("two", "lost")))
    held.read()
    assert held.state.get(Organization, "two") == Organization(organization_id="two", name="kept")


async def test_a_change_of_what_was_written_over_is_not_undone_by_saying_the_old_state_again() -> None:
    log = MemoryLog()
    (first, first_changer), (second, second_changer) = replica(log, "a"), replica(log, "b")
    await first_changer.change(making("one", "a"))
    stale = Term(*log.entries[-1].stamp.rank)
    await second_changer.change(making("two", "b"))
    await first.write(stale, [("organization:one", record_of("one", "void"))])
    second.read()
    renamed = Organization(organization_id="one", name="new")
    await second_changer.change(lambda state: Plan((draft(state, renamed, "updated", AUTHOR),)))
    assert second.state.get(Organization, "one") == renamed
    assert second.void_keys(0) == set()
