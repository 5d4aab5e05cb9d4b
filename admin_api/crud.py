"""The five operations that every kind of entity has: make, list, read, change, delete."""

from collections.abc import Callable, Mapping
from heapq import nsmallest
from typing import Any, NamedTuple, cast

import msgspec

from admin_api.changer import Plan
from admin_api.checks import called, check_entity, check_new
from admin_api.config_state import ConfigState, Held
from admin_api.configuration import author_of, configuration_of, showing_of
from admin_api.drafts import draft, draft_deletion, organization_of
from admin_api.fields import LimitsPatch, Page
from admin_api.operation import Answer, Call, Handler, Operation, Refusal, conflict, invalid, not_found
from admin_api.resources.management_keys import check_not_the_last
from admin_api.resources.resource import Making, Resource, given_fields
from schemas.config_record import Action, Entity, entity_id_of
from schemas.tenancy import EntityId, ManagementKey

_NOT_FILTERS = frozenset({"limit", "cursor"})


class WhichOrganization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose customer or tag it is; not needed with a management key that is bound to one organization."""

    organization_id: EntityId | None = None


class Deleted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    deleted: bool = True


class _Changed(NamedTuple):
    held: Held
    secret: str | None = None


def operations_of(resource: Resource) -> tuple[Operation, ...]:
    item_path = f"{resource.path}/{{{resource.id_param}}}"
    group = resource.path.strip("/")
    one = resource.kind
    whose = WhichOrganization if resource.in_organization else None
    name = called(resource.kind)
    return (
        Operation(
            operation_id=f"create_{one}",
            method="POST",
            path=resource.path,
            group=group,
            summary=f"Make a new {name}",
            handler=_create(resource),
            access="admin",
            body=resource.new,
            answer=resource.view,
            status=201,
            errors=(409, 503),
        ),
        Operation(
            operation_id=f"list_{one}s",
            method="GET",
            path=resource.path,
            group=group,
            summary=f"List by id: {group.replace('-', ' ')}",
            handler=_list(resource),
            query=resource.filters,
            answer=resource.page,
        ),
        Operation(
            operation_id=f"get_{one}",
            method="GET",
            path=item_path,
            group=group,
            summary=f"Read one {name}",
            handler=_get(resource),
            query=whose,
            answer=resource.view,
            errors=(404,),
        ),
        Operation(
            operation_id=f"update_{one}",
            method="PATCH",
            path=item_path,
            group=group,
            summary=f"Change the given fields of one {name}",
            handler=_update(resource),
            access="admin",
            query=whose,
            body=resource.patch,
            answer=resource.view,
            errors=(404, 409, 503),
        ),
        Operation(
            operation_id=f"delete_{one}",
            method="DELETE",
            path=item_path,
            group=group,
            summary=f"Delete one {name}, if nothing needs it any more",
            handler=_delete(resource),
            access="admin",
            query=whose,
            answer=Deleted,
            errors=(404, 409, 503),
        ),
    )


def visible(resource: Resource, state: ConfigState, call: Call) -> Held:
    """The entity that the path names. Raises Refusal, also for one that is not the caller's to see."""
    path_id = call.path[resource.id_param]
    entity_id = path_id
    if resource.in_organization:
        whose: WhichOrganization = call.query
        organization_id = whose.organization_id or call.caller.organization_id
        if organization_id is None:
            raise invalid("organization_id", "Say whose it is, as a query parameter: organization_id.")
        entity_id = f"{organization_id}/{path_id}"
    held = state.find(resource.kind, entity_id)
    if held is None or held.entity is None or not call.caller.sees(held.organization_id):
        raise not_found(called(resource.kind), path_id)
    if call.if_match is not None and call.if_match != held.record.version:
        text = f"It has been changed: its version is {held.record.version}, not {call.if_match}."
        raise conflict("version_mismatch", text, "If-Match")
    return held


def shown(resource: Resource, held: Held, call: Call, secret: str | None = None) -> Answer:
    return Answer(body=resource.show(held, showing_of(call, secret)), version=held.record.version)


async def make_change(
    resource: Resource, call: Call, action: Action, change: Callable[[ConfigState, Held], tuple[Entity, str | None]]
) -> Answer:
    """Changes the entity that the path names, and shows it. `change`: entity → entity and, where one was made, its new
    secret; it may be called more than once."""
    configuration = configuration_of(call)

    def planner(state: ConfigState) -> Plan:
        held = visible(resource, state, call)
        before = held.entity
        entity, secret = change(state, held)
        if entity == before:
            return Plan((), _Changed(held))
        check_entity(state, entity, call.caller.sees, plain_http_webhooks=configuration.plain_http_webhooks)
        if isinstance(before, ManagementKey):
            check_not_the_last(state, before, cast(ManagementKey, entity))
        record = draft(state, entity, action, author_of(call))
        return Plan((record,), _Changed(Held(record, entity), secret))

    changed: _Changed = (await configuration.changer.change(planner)).result
    return shown(resource, changed.held, call, changed.secret)


def _create(resource: Resource) -> Handler:
    async def create(call: Call) -> Answer:
        _refuse_bound(resource, call)
        configuration = configuration_of(call)

        def planner(state: ConfigState) -> Plan:
            making = Making(state, call.caller, call.now_ms, configuration.random_bytes)
            entity, secret = resource.make(making, call.body)
            check_entity(state, entity, call.caller.sees, plain_http_webhooks=configuration.plain_http_webhooks)
            entity_id = entity_id_of(entity)
            check_new(state, resource.kind, entity_id, organization_of(state, entity), _id_field(resource))
            record = draft(state, entity, "created", author_of(call))
            return Plan((record,), _Changed(Held(record, entity), secret))

        made: _Changed = (await configuration.changer.change(planner)).result
        return shown(resource, made.held, call, made.secret)

    return create


def _list(resource: Resource) -> Handler:
    async def list_page(call: Call) -> Answer:
        page: Page = call.query
        wanted = {
            name: value
            for name, value in msgspec.structs.asdict(page).items()
            if name not in _NOT_FILTERS and value is not None
        }
        found = {
            held.record.entity_id: held
            for held in configuration_of(call).state.all_of(resource.kind)
            if call.caller.sees(held.organization_id)
            and (page.cursor is None or held.record.entity_id > page.cursor)
            and all(_field(held, name) == value for name, value in wanted.items())
        }
        ids = nsmallest(page.limit + 1, found)
        showing = showing_of(call)
        views = tuple(resource.show(found[entity_id], showing) for entity_id in ids[: page.limit])
        next_cursor = ids[page.limit - 1] if len(ids) > page.limit else None
        return Answer(body=resource.page(data=views, next_cursor=next_cursor))

    return list_page


def _get(resource: Resource) -> Handler:
    async def get(call: Call) -> Answer:
        return shown(resource, visible(resource, configuration_of(call).state, call), call)

    return get


def _update(resource: Resource) -> Handler:
    async def update(call: Call) -> Answer:
        if resource.names_secrets:
            _refuse_bound(resource, call)
        given = given_fields(call.body)

        def change(_state: ConfigState, held: Held) -> tuple[Entity, str | None]:
            return resource.change(held.entity, _merged(held.entity, given), call.now_ms), None

        return await make_change(resource, call, "updated", change)

    return update


def _merged(entity: Entity | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of limits too only what is given changes: who sets one must not take the others away."""
    return {
        name: msgspec.structs.replace(getattr(entity, name), **given_fields(value))
        if isinstance(value, LimitsPatch)
        else value
        for name, value in given.items()
    }


def _delete(resource: Resource) -> Handler:
    async def delete(call: Call) -> Answer:
        _refuse_bound(resource, call)

        def planner(state: ConfigState) -> Plan:
            held = visible(resource, state, call)
            entity = held.entity
            assert entity is not None
            obstacle = resource.obstacle(state, entity)
            if obstacle is not None:
                raise conflict("in_use", f"The {called(resource.kind)} still has {obstacle}.")
            if isinstance(entity, ManagementKey):
                check_not_the_last(state, entity, None)
            return Plan((draft_deletion(state, entity, author_of(call)),))

        await configuration_of(call).changer.change(planner)
        return Answer(body=Deleted(id=call.path[resource.id_param]))

    return delete


def _refuse_bound(resource: Resource, call: Call) -> None:
    if (resource.whole_gateway or resource.names_secrets) and call.caller.organization_id is not None:
        text = "This takes a management key that is not bound to an organization."
        raise Refusal(403, "key_is_bound", text)


def _field(held: Held, name: str) -> object:
    return held.organization_id if name == "organization_id" else getattr(held.entity, name)


def _id_field(resource: Resource) -> str:
    """Where a new entity's id is in the body."""
    return "key" if resource.kind == "tag" else resource.id_param
