"""What a client says to the gateway itself: the same words in the body of every client API, and in headers. Pure.

Where both say something, the body counts: it is nearer to the request.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ingress.surfaces.surface import Call, GatewayFields, Tag, invalid
from schemas.envelope import Attribution, RoutingOptions
from schemas.failures import Failure, FailureKind
from schemas.tenancy import ApiKey, Project

PREFIX = "X-Tollhouse-"
_LISTS = {"models": "Models", "vendors": "Vendors"}
_TEXTS = {"project_id": "Project-Id", "customer": "Customer", "routing_policy": "Routing-Policy"}
_SWITCHES = {"zero_data_retention": "Zero-Data-Retention", "include_routing_metadata": "Include-Routing-Metadata"}
HEADERS = tuple(PREFIX + name for name in (*_LISTS.values(), "Vendor", "Tags", *_TEXTS.values(), *_SWITCHES.values()))

DEFAULT_POLICY = "default"
"""The order of the catalogue. There is no other policy yet."""


class Options(NamedTuple):
    model: str
    routing: RoutingOptions
    attribution: Attribution


def read_options(call: Call, headers: Mapping[str, str], key: ApiKey, project: Project) -> Options | Failure:
    """INVALID_REQUEST names the field, or the header. What the key or the project fixes holds, whatever is asked."""
    given = call.gateway
    # Most requests carry none of the headers, and looking each up would cost every one of them.
    if any(name[: len(PREFIX)].lower() == PREFIX.lower() for name in headers):
        merged = _with_headers(given, headers)
        if isinstance(merged, Failure):
            return merged
        given = merged
    if given.project_id is not None and given.project_id != project.project_id:
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message=f"This API key belongs to another project than '{given.project_id}'.",
            param="project_id",
            code="project_not_allowed",
            status=403,
        )
    if key.customer_id is not None and given.customer not in (None, key.customer_id):
        return Failure(
            kind=FailureKind.INVALID_REQUEST,
            message="This API key belongs to another customer.",
            param="customer",
            code="customer_not_allowed",
            status=403,
        )
    if given.routing_policy not in (None, DEFAULT_POLICY):
        return invalid("routing_policy", f"there is no policy of this name; '{DEFAULT_POLICY}' is the only one")
    if given.vendor is not None and given.vendors is not None:
        return invalid("vendor", "give either 'vendor' or 'vendors'")
    vendors = (given.vendor,) if given.vendor is not None else tuple(given.vendors or ())
    model, *fallbacks = dict.fromkeys((call.model, *(given.models or ())))
    return Options(
        model=model,
        routing=RoutingOptions(
            fallback_models=tuple(fallbacks),
            vendors=vendors,
            zero_data_retention=given.zero_data_retention is True or project.zero_data_retention,
            include_metadata=given.include_routing_metadata is True,
        ),
        attribution=Attribution(
            organization_id=project.organization_id,
            project_id=project.project_id,
            api_key_id=key.api_key_id,
            customer_id=given.customer if key.customer_id is None else key.customer_id,
            tags=_tags(given.tags),
        ),
    )


def _tags(given: dict[str, str] | list[Tag] | None) -> dict[str, str]:
    return {tag.key: tag.value for tag in given} if isinstance(given, list) else given or {}


def _is_text(header: str) -> bool:
    """Bytes that are no UTF-8 arrive as half pairs: neither an envelope nor a usage record with one can be written."""
    try:
        header.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_headers(body: GatewayFields, headers: Mapping[str, str]) -> GatewayFields | Failure:
    said: dict[str, object] = {}
    for name in HEADERS:
        if not _is_text(headers.get(name, "")):
            return invalid(name, "it must be text in UTF-8")
    for field, name in _LISTS.items():
        if (text := headers.get(PREFIX + name)) is not None:
            said[field] = [item for item in map(str.strip, text.split(",")) if item]
    for field, name in {**_TEXTS, "vendor": "Vendor"}.items():
        if (text := headers.get(PREFIX + name)) is not None:
            said[field] = text.strip()
    for field, name in _SWITCHES.items():
        if (text := headers.get(PREFIX + name)) is not None:
            if text.strip().lower() not in ("true", "false"):
                return invalid(PREFIX + name, "it must be 'true' or 'false'")
            said[field] = text.strip().lower() == "true"
    if (text := headers.get(PREFIX + "Tags")) is not None:
        pairs = [item.partition("=") for item in map(str.strip, text.split(",")) if item]
        if not all(key and mark for key, mark, _ in pairs):
            return invalid(PREFIX + "Tags", "it must be 'key=value,key=value'")
        said["tags"] = {key.strip(): value.strip() for key, _, value in pairs}
    try:
        from_headers = msgspec.convert(said, GatewayFields)
    except msgspec.ValidationError as error:
        return invalid("headers", str(error).replace("$.", ""))
    if body.vendor is not None or body.vendors is not None:
        from_headers.vendor = from_headers.vendors = None
    fields = GatewayFields.__struct_fields__
    in_body = {name: value for name in fields if (value := getattr(body, name)) is not None}
    return msgspec.structs.replace(from_headers, **in_body)
