"""From a bootstrap file and what is there already to the records that are missing. Pure.

Only what never was there is made. What somebody has changed or deleted since stays as it is: the file may be applied at
every start, and must not bring a revoked key back.
"""

from typing import NamedTuple

from admin_api.bootstrap_file import Bootstrap, InvalidBootstrap, ShortBudget
from admin_api.checks import called, check_entity
from admin_api.config_state import KIND_OF, ConfigState
from admin_api.drafts import Author, draft, organization_of
from admin_api.operation import Refusal
from schemas.budgets import Budget
from schemas.config_record import ConfigRecord, Entity, entity_id_of
from schemas.tenancy import ApiKey, Project

ACTOR = "bootstrap"


class BootstrapPlan(NamedTuple):
    """`made`, `left`: one line each for people."""

    records: tuple[ConfigRecord, ...]
    made: tuple[str, ...]
    left: tuple[str, ...]


def plan_bootstrap(
    state: ConfigState, bootstrap: Bootstrap, author: Author, *, plain_http_webhooks: bool = False
) -> BootstrapPlan:
    """Raises InvalidBootstrap with everything that does not fit; then nothing is to be written."""
    ahead = state.copy()
    records: list[ConfigRecord] = []
    made: list[str] = []
    left: list[str] = []
    problems: list[str] = []

    def add(entity: Entity) -> None:
        kind, entity_id = KIND_OF[type(entity)], entity_id_of(entity)
        name = f"{called(kind)} '{entity_id}'"
        reason = _reason_to_leave(ahead, entity)
        if reason is not None:
            left.append(f"{name}: {reason}, left as it is")
            return
        try:
            check_entity(ahead, entity, plain_http_webhooks=plain_http_webhooks)
        except Refusal as refusal:
            problems.append(f"{name}: {refusal.param}: {refusal.message}")
            return
        record = draft(ahead, entity, "created", author)
        ahead.apply(record)
        records.append(record)
        made.append(f"{name}: made")

    for entity in bootstrap.entities:
        add(entity)
    for short in bootstrap.short_budgets:
        organization_id = _organization_of_short(ahead, short)
        # Else the project or key itself was refused, and that has been said.
        if organization_id is not None:
            add(_budget(short, organization_id))
    if problems:
        raise InvalidBootstrap(problems)
    return BootstrapPlan(tuple(records), tuple(made), tuple(left))


def _reason_to_leave(state: ConfigState, entity: Entity) -> str | None:
    held = state.find(KIND_OF[type(entity)], entity_id_of(entity))
    if held is not None:
        return "is there" if held.entity is not None else "was deleted"
    if isinstance(entity, Budget) and (other := state.budget_of(entity.scope, entity.period)) is not None:
        return f"its scope and period have the budget '{other}'"
    return None


def _organization_of_short(state: ConfigState, short: ShortBudget) -> str | None:
    if short.scope_kind == "project":
        project = state.get(Project, short.scope_id)
        return None if project is None else project.organization_id
    key = state.get(ApiKey, short.scope_id)
    return None if key is None else organization_of(state, key)


def _budget(short: ShortBudget, organization_id: str) -> Budget:
    return Budget(
        budget_id=short.budget_id,
        organization_id=organization_id,
        scope_kind=short.scope_kind,
        scope_id=short.scope_id,
        limit_pico_usd=short.limit_pico_usd,
        period="total",
        enforcement="hard",
    )
