from msgspec.structs import replace

from billing_consumer.authority.outbox import HOLD_BACK_S, Outbox
from schemas.spend import LeaseState
from tests.billing_consumer.authority.samples import USD, a_budget, a_state, an_alert

BUDGET = a_budget()
LEASE = LeaseState(
    lease_id="l", holder="ing_1", seq=1, granted_pico_usd=USD, used_pico_usd=0, settled_pico_usd=0, ttl_ms=1000
)
WRITTEN = replace(a_state(BUDGET), leases=(LEASE,))
SPENT_MORE = replace(
    WRITTEN, spent_pico_usd=5, through={0: 12}, as_of_ms=9, leases=(replace(LEASE, settled_pico_usd=5),)
)


def test_what_somebody_waits_for_goes_out_at_once() -> None:
    urgent = [
        replace(SPENT_MORE, leases=(replace(LEASE, granted_pico_usd=2 * USD),)),
        replace(SPENT_MORE, leases=(replace(LEASE, seq=2),)),
        replace(SPENT_MORE, leases=()),
        replace(SPENT_MORE, limit_pico_usd=1),
        replace(SPENT_MORE, short=True),
        replace(SPENT_MORE, alerts_due=(an_alert(BUDGET),)),
        None,
    ]
    for state in urgent:
        outbox = Outbox({"a": WRITTEN})
        outbox.put("a", state, 10.0)
        assert outbox.due(10.0) == {"a": state}
        assert outbox.empty


def test_mere_spending_is_held_back_and_then_goes_out_together_in_its_last_state() -> None:
    outbox = Outbox({"a": WRITTEN, "b": WRITTEN})
    outbox.put("a", replace(SPENT_MORE, spent_pico_usd=1), 10.0)
    outbox.put("b", SPENT_MORE, 10.0 + HOLD_BACK_S / 2)
    outbox.put("a", SPENT_MORE, 10.0 + HOLD_BACK_S / 2)
    assert outbox.due(10.0 + HOLD_BACK_S * 0.99) == {}
    assert not outbox.empty, "so the offsets of what led to it are not committed"
    assert outbox.due(10.0 + HOLD_BACK_S) == {"a": SPENT_MORE, "b": SPENT_MORE}
    assert outbox.empty


def test_a_grant_does_not_push_what_is_held_back() -> None:
    granted = replace(WRITTEN, leases=(replace(LEASE, granted_pico_usd=2 * USD),))
    outbox = Outbox({"a": WRITTEN, "b": WRITTEN})
    outbox.put("a", SPENT_MORE, 10.0)
    outbox.put("b", granted, 10.1)
    assert outbox.due(10.1) == {"b": granted}
    outbox.put("b", replace(granted, spent_pico_usd=7), 10.2)
    assert outbox.due(10.0 + HOLD_BACK_S) == {"a": SPENT_MORE, "b": replace(granted, spent_pico_usd=7)}


def test_a_new_ledger_goes_out_at_once() -> None:
    outbox = Outbox({})
    outbox.put("a", WRITTEN, 10.0)
    assert outbox.due(10.0) == {"a": WRITTEN}
