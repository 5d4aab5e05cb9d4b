"""The fields with which a client speaks to the gateway itself, in the body of any client API."""

from router_worker.vendors.json_fields import Fields

GATEWAY_FIELDS = (
    "models",
    "vendor",
    "vendors",
    "tags",
    "project_id",
    "customer",
    "routing_policy",
    "zero_data_retention",
    "include_routing_metadata",
)


def drop_gateway_fields(fields: Fields) -> None:
    """They mean nothing to a vendor, which may refuse them, and may say who the customer is."""
    for name in GATEWAY_FIELDS:
        fields.pop(name, None)
