"""What a lease may be drawn to, whatever order words and answers come in."""

from hypothesis import given
from hypothesis import strategies as st

from ingress.budgets.lease import Lease
from schemas.spend import LeasePhase, LeaseState


def answer(seq: int, granted: int, phase: LeasePhase = "open") -> LeaseState:
    return LeaseState(
        lease_id="l",
        holder="h",
        seq=seq,
        granted_pico_usd=granted,
        used_pico_usd=0,
        settled_pico_usd=0,
        phase=phase,
    )


def test_asking_for_less_binds_at_once_and_until_it_is_answered() -> None:
    lease = Lease("l", "", 0.0)
    lease.report("b", 0, 100, 1.0)
    lease.answer(answer(1, 100), 10)
    assert lease.effective == 100
    lease.report("b", 0, 30, 2.0)
    lease.report("b", 0, 80, 3.0)
    assert lease.effective == 30
    # The authority has not heard of it yet, and has even granted more.
    lease.answer(answer(1, 200), 10)
    assert lease.effective == 30
    lease.answer(answer(3, 80), 10)
    assert lease.effective == 80


def test_time_counts_from_the_sending_of_the_answered_report() -> None:
    lease = Lease("l", "", 0.0)
    lease.report("b", 0, 100, 1.0)
    lease.report("b", 0, 100, 5.0)
    lease.answer(answer(1, 100), 10)
    assert lease.valid_until_s == 11
    lease.answer(answer(1, 120), 10)
    assert lease.valid_until_s == 11, "the same report answered again prolongs nothing"
    lease.answer(answer(2, 100), 10)
    assert lease.valid_until_s == 15


def test_a_dead_one_is_good_for_nothing_until_it_is_revived() -> None:
    lease = Lease("l", "", 0.0)
    lease.report("b", 0, 100, 1.0)
    lease.answer(answer(1, 100), 10)
    lease.answer(answer(1, 100, "dead"), 10)
    assert lease.valid_until_s < 1
    lease.report("b", 0, 100, 2.0)
    lease.answer(answer(2, 100), 10)
    assert lease.valid_until_s == 12


def test_answers_to_what_was_never_said_are_none() -> None:
    lease = Lease("l", "", 0.0)
    lease.answer(answer(1, 100), 10)
    assert lease.effective == 0


@given(st.data())
def test_never_more_than_the_authority_has_granted(data: st.DataObject) -> None:
    """The authority takes the reports in order, one by one, and its answers are heard late. Whatever the lease allows
    at any time is within what is granted in any state that the authority may be in by then."""
    lease = Lease("l", "", 0.0)
    sent: list[int] = []
    states: list[tuple[int, int]] = []
    granted = 0
    for _ in range(data.draw(st.integers(1, 25))):
        step = data.draw(st.sampled_from(("say", "decide", "grant", "hear")))
        if step == "say":
            want = data.draw(st.integers(0, 100))
            lease.report("b", 0, want, 0.0)
            sent.append(want)
        elif step == "decide" and len(sent) > (states[-1][0] if states else 0):
            seq = (states[-1][0] if states else 0) + 1
            want = sent[seq - 1]
            granted = min(granted, want) + data.draw(st.integers(0, max(0, want - granted)))
            states.append((seq, granted))
        elif step == "grant" and states:
            granted = max(granted, data.draw(st.integers(0, sent[states[-1][0] - 1])))
            states.append((states[-1][0], granted))
        elif step == "hear" and states:
            seq, heard = data.draw(st.sampled_from(states))
            if seq >= lease.answered_seq:
                later = [g for s, g in states if s == seq]
                lease.answer(answer(seq, max(heard, lease.granted if seq == lease.answered_seq else heard)), 1)
                assert lease.granted in later or lease.granted == heard
        last_seq = states[-1][0] if states else 0
        # Of what is on the way the authority may do the worst: shrink to each want that it has not seen.
        assert lease.effective <= min([granted, *sent[last_seq:]], default=0)
