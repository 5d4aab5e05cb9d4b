import msgspec
import pytest

from billing_consumer.authority.budget_view import BudgetView
from schemas.codec import UndecodableRecord
from tests.billing_consumer.authority.samples import a_budget, a_change, a_webhook


def test_a_budget_is_found_by_its_id_and_by_its_scope_until_it_is_deleted() -> None:
    view, budget, other = BudgetView(), a_budget(), a_budget("bud_2")
    view.apply(a_change("budget", budget))
    view.apply(a_change("budget", other))
    assert view.budget("bud_1") == budget
    assert set(view.budgets_of("project:prj_1")) == {budget, other}
    view.apply(a_change("budget", None, entity_id="bud_1", version=2, action="deleted"))
    assert view.budget("bud_1") is None
    assert view.budgets_of("project:prj_1") == (other,)
    view.apply(a_change("budget", None, entity_id="bud_2", version=2, action="deleted"))
    assert view.budgets_of("project:prj_1") == ()


def test_a_budget_that_moves_leaves_its_old_scope() -> None:
    view = BudgetView()
    view.apply(a_change("budget", a_budget()))
    moved = a_budget(scope_id="prj_2")
    view.apply(a_change("budget", moved, version=2, action="updated"))
    assert view.budgets_of("project:prj_1") == ()
    assert view.budgets_of("project:prj_2") == (moved,)


def test_a_record_that_cannot_be_read_leaves_the_budget_in_force() -> None:
    view, budget = BudgetView(), a_budget()
    view.apply(a_change("budget", budget))
    broken = msgspec.structs.replace(a_change("budget", budget, version=2), entity=msgspec.Raw(b'{"budget_id":3}'))
    with pytest.raises(UndecodableRecord):
        view.apply(broken)
    assert view.budget("bud_1") == budget
    assert view.budgets_of(budget.scope) == (budget,)


def test_alerts_go_to_the_active_webhooks_of_the_organization() -> None:
    view, webhook = BudgetView(), a_webhook("wh_1", "http://a")
    view.apply(a_change("webhook", webhook))
    view.apply(a_change("webhook", msgspec.structs.replace(webhook, webhook_id="wh_2", active=False)))
    view.apply(a_change("webhook", msgspec.structs.replace(webhook, webhook_id="wh_3", organization_id="org_2")))
    assert view.webhooks_of("org_1") == (webhook,)
    view.apply(a_change("webhook", None, entity_id="wh_1", version=2, action="deleted"))
    assert view.webhooks_of("org_1") == ()
