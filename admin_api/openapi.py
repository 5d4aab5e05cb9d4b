"""The OpenAPI 3.1 document, made from the table of operations, and the operation that serves it. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from admin_api.operation import BASE_PATH, Answer, Call, Operation

_REFERENCE = "#/components/schemas/{name}"
_JSON = "application/json"

_SAYS = {
    400: "A field, or the request as a whole, is not valid",
    401: "No management key, or one that does not open anything",
    403: "The key may not do this",
    404: "It is not there, or not the caller's to see",
    409: "It does not fit what is there",
    413: "The body is too large",
    503: "Kafka or ClickHouse does not answer",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`message` is for people, `code` for programs; `param` names the field at fault."""

    type: str
    message: str
    param: str | None
    code: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    error: Problem


def document_operation(documented: Sequence[Operation]) -> Operation:
    """The operation that serves the document of the others, and of itself."""

    async def show_document(_call: Call) -> Answer:
        return Answer(text=text)

    operation = Operation(
        operation_id="get_openapi",
        method="GET",
        path="/openapi.json",
        group="document",
        summary="This document",
        handler=show_document,
        access="public",
    )
    text = msgspec.json.encode(document((*documented, operation)), order="deterministic").decode()
    return operation


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    operations = tuple(operations)
    schemas, components = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(BASE_PATH + operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollhouse admin API",
            "version": "1",
            "description": (
                "Organizations, projects, keys, customers, budgets and usage. Money is text in USD, times are RFC 3339"
                " in UTC. Unknown fields are refused. A change holds on every replica within a second."
            ),
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "management_key": {"type": "http", "scheme": "bearer", "description": "A key that begins with thm_"}
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    types: list[Any] = [ErrorBody]
    for operation in operations:
        types += [each for each in (operation.body, operation.answer) if each is not None]
        types += [field.type for field in _query_fields(operation)]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REFERENCE)
    return dict(zip(unique, schemas, strict=True)), components


def _query_fields(operation: Operation) -> tuple[msgspec.structs.FieldInfo, ...]:
    return () if operation.query is None else msgspec.structs.fields(operation.query)


def _operation(operation: Operation, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    parameters += [
        {"name": field.encode_name, "in": "query", "required": field.required, "schema": schemas[field.type]}
        for field in _query_fields(operation)
    ]
    if operation.method in ("PATCH", "DELETE"):
        says = "The version that was seen, as the ETag gave it; 409 if it has changed since"
        parameters.append(
            {"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}, "description": says}
        )
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.group],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": _responses(operation, schemas),
        "security": [] if operation.access == "public" else [{"management_key": []}],
    }
    if operation.body is not None:
        required = any(field.required for field in msgspec.structs.fields(operation.body))
        described["requestBody"] = {"required": required, "content": {_JSON: {"schema": schemas[operation.body]}}}
    return described


def _responses(operation: Operation, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {_JSON: {"schema": schemas[operation.answer] if operation.answer else {}}}
    content |= {content_type: {"schema": {"type": "string"}} for content_type in operation.other_types}
    responses: dict[str, Any] = {str(operation.status): {"description": operation.summary, "content": content}}
    for status in sorted(statuses(operation)):
        responses[str(status)] = {
            "description": _SAYS[status],
            "content": {_JSON: {"schema": schemas[ErrorBody]}},
        }
    return responses


def statuses(operation: Operation) -> frozenset[int]:
    """Every status that the operation may refuse with."""
    found = {400, 413, *operation.errors}
    if operation.access != "public":
        # 503: the state of the configuration is too old to tell what a key may do.
        found |= {401, 503}
    if operation.access == "admin":
        found.add(403)
    return frozenset(found)
