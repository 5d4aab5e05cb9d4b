"""Budgets and webhooks as the configuration has them now. Pure: it is fed by a reader of `config`."""

from schemas.budgets import Budget
from schemas.config_record import ConfigRecord, entity_of
from schemas.tenancy import Webhook


class BudgetView:
    """A record that cannot be read changes nothing: the entity stays as it was, because a hard budget that vanished
    with a bad record would stand open."""

    def __init__(self) -> None:
        self._budgets: dict[str, Budget] = {}
        self._of_scope: dict[str, dict[str, Budget]] = {}
        self._webhooks: dict[str, Webhook] = {}

    def apply(self, record: ConfigRecord) -> None:
        """Records of one entity in the order of the log. Raises UndecodableRecord."""
        if record.kind == "budget":
            entity = entity_of(record)
            self._forget_budget(record.entity_id)
            if isinstance(entity, Budget):
                self._budgets[record.entity_id] = entity
                self._of_scope.setdefault(entity.scope, {})[record.entity_id] = entity
        elif record.kind == "webhook":
            entity = entity_of(record)
            self._webhooks.pop(record.entity_id, None)
            if isinstance(entity, Webhook):
                self._webhooks[record.entity_id] = entity

    def budget(self, budget_id: str) -> Budget | None:
        return self._budgets.get(budget_id)

    def budgets_of(self, scope: str) -> tuple[Budget, ...]:
        """All budgets of a scope (`schemas.budgets.scope_key`)."""
        found = self._of_scope.get(scope)
        return () if found is None else tuple(found.values())

    def webhooks_of(self, organization_id: str) -> tuple[Webhook, ...]:
        """Those that alerts go to: the organization's active ones."""
        return tuple(w for w in self._webhooks.values() if w.organization_id == organization_id and w.active)

    def _forget_budget(self, budget_id: str) -> None:
        budget = self._budgets.pop(budget_id, None)
        if budget is None:
            return
        of_scope = self._of_scope[budget.scope]
        del of_scope[budget_id]
        if not of_scope:
            del self._of_scope[budget.scope]
