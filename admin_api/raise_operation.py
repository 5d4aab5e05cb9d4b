"""POST /budgets/{budget_id}/raises: more for a while."""

from typing import cast

from admin_api.config_state import ConfigState, Held
from admin_api.crud import make_change
from admin_api.operation import Answer, Call, Operation
from admin_api.resources.budgets import BUDGETS, BudgetView, NewRaise, with_raise
from schemas.budgets import Budget
from schemas.config_record import Entity


async def raise_budget(call: Call) -> Answer:
    body: NewRaise = call.body

    def change(_state: ConfigState, held: Held) -> tuple[Entity, str | None]:
        return with_raise(cast(Budget, held.entity), body, call.now_ms), None

    return await make_change(BUDGETS, call, "updated", change)


RAISE_BUDGET = Operation(
    operation_id="raise_budget",
    method="POST",
    path="/budgets/{budget_id}/raises",
    group="budgets",
    summary="Raise a budget's limit until a time",
    handler=raise_budget,
    access="admin",
    body=NewRaise,
    answer=BudgetView,
    status=201,
    errors=(404, 409, 503),
)
