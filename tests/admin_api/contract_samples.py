"""A valid call of every operation in the document, and what must be there before it."""

from typing import Any, NamedTuple

from tests.admin_api.admin_server import AdminServer


class Sample(NamedTuple):
    """`path`: with its variables filled in, and a query. `wrong`: field → a value that is refused."""

    path: str
    body: dict[str, Any] | None = None
    wrong: dict[str, Any] = {}  # noqa: RUF012 - never changed


_LIMITS = {"requests_per_minute": 10, "tokens_per_minute": None, "concurrent_requests": 2}
_LATER = "2027-06-01T00:00:00Z"

SAMPLES: dict[str, Sample] = {
    "create_organization": Sample(
        "/organizations", {"organization_id": "new", "name": "New"}, {"organization_id": "-x", "name": 3}
    ),
    "list_organizations": Sample("/organizations?limit=1"),
    "get_organization": Sample("/organizations/acme"),
    "update_organization": Sample("/organizations/acme", {"name": "Acme"}, {"name": None}),
    "delete_organization": Sample("/organizations/other"),
    "create_project": Sample(
        "/projects",
        {"organization_id": "acme", "project_id": "new", "limits": _LIMITS, "zero_data_retention": True},
        {"organization_id": "nope", "project_id": "a b", "zero_data_retention": 1, "limits": [], "name": "a\nb"},
    ),
    "list_projects": Sample("/projects?organization_id=acme"),
    "get_project": Sample("/projects/p1"),
    "update_project": Sample("/projects/p1", {"limits": _LIMITS}, {"limits": None, "name": "x" * 257}),
    "delete_project": Sample("/projects/empty"),
    "create_api_key": Sample(
        "/keys",
        {
            "project_id": "p1",
            "api_key_id": "new",
            "models": ["gpt-5"],
            "expires_at": _LATER,
            "customer_id": "c/1",
            "routing_policy": "default",
        },
        {"project_id": "nope", "models": "gpt-5", "expires_at": "2001-01-01T00:00:00Z", "customer_id": ""},
    ),
    "list_api_keys": Sample("/keys?project_id=p1&revoked=false"),
    "get_api_key": Sample("/keys/k1"),
    "update_api_key": Sample(
        "/keys/k1", {"models": ["a", "b"], "expires_at": None}, {"expires_at": "soon", "models": None}
    ),
    "delete_api_key": Sample("/keys/k1"),
    "rotate_api_key": Sample("/keys/k1/rotate", {"overlap_s": 0}, {"overlap_s": -1}),
    "revoke_api_key": Sample("/keys/k1/revoke"),
    "create_management_key": Sample(
        "/management-keys",
        {"organization_id": "acme", "role": "viewer", "name": "ci"},
        {"organization_id": "nope", "role": "owner"},
    ),
    "list_management_keys": Sample("/management-keys"),
    "get_management_key": Sample("/management-keys/viewer"),
    "update_management_key": Sample("/management-keys/viewer", {"role": "admin"}, {"role": None}),
    "delete_management_key": Sample("/management-keys/viewer"),
    "rotate_management_key": Sample("/management-keys/viewer/rotate", {}, {"overlap_s": 10**9}),
    "revoke_management_key": Sample("/management-keys/viewer/revoke"),
    "create_customer": Sample(
        "/customers", {"organization_id": "acme", "customer_id": "a b/{c}"}, {"customer_id": "", "active": "yes"}
    ),
    "list_customers": Sample("/customers?active=true"),
    "get_customer": Sample("/customers/c%2F1?organization_id=acme"),
    "update_customer": Sample("/customers/c%2F1?organization_id=acme", {"active": False}, {"active": None}),
    "delete_customer": Sample("/customers/c%2F1?organization_id=acme"),
    "create_tag": Sample(
        "/tags", {"organization_id": "acme", "key": "team", "value": "a=b"}, {"key": "a=b", "value": ""}
    ),
    "list_tags": Sample("/tags?key=env"),
    "get_tag": Sample("/tags/env=prod?organization_id=acme"),
    "update_tag": Sample("/tags/env=prod?organization_id=acme", {"description": "live"}, {"description": 1}),
    "delete_tag": Sample("/tags/env=prod?organization_id=acme"),
    "create_budget": Sample(
        "/budgets",
        {
            "scope_kind": "api_key",
            "scope_id": "k2",
            "limit_usd": "12.50",
            "period": "daily",
            "enforcement": "soft",
            "alerts_percent": [90, 50],
        },
        {
            "scope_kind": "team",
            "scope_id": "nope",
            "limit_usd": 12.5,
            "period": "hourly",
            "alerts_percent": [50, 50],
            "organization_id": "nope",
        },
    ),
    "list_budgets": Sample("/budgets?scope_kind=project"),
    "get_budget": Sample("/budgets/b1"),
    "update_budget": Sample(
        "/budgets/b1",
        {"limit_usd": "3", "raises": [{"amount_usd": "1", "expires_at": _LATER}]},
        {"limit_usd": "-1", "raises": None, "alerts_percent": [50, 50], "enforcement": "no"},
    ),
    "delete_budget": Sample("/budgets/b1"),
    "raise_budget": Sample(
        "/budgets/b1/raises",
        {"amount_usd": "0.5", "expires_at": _LATER},
        {"amount_usd": "1e3", "expires_at": "2001-01-01T00:00:00Z"},
    ),
    "create_vendor_credential": Sample(
        "/vendor-credentials",
        {"organization_id": "acme", "project_id": "p1", "vendor": "openai", "secret_name": "ACME_OPENAI_KEY"},
        {"secret_name": "sk-abcdef", "project_id": "other-project", "vendor": ""},
    ),
    "list_vendor_credentials": Sample("/vendor-credentials?vendor=anthropic"),
    "get_vendor_credential": Sample("/vendor-credentials/v1"),
    "update_vendor_credential": Sample("/vendor-credentials/v1", {"secret_name": "OTHER"}, {"secret_name": "a b"}),
    "delete_vendor_credential": Sample("/vendor-credentials/v1"),
    "create_webhook": Sample(
        "/webhooks",
        {"organization_id": "acme", "url": "https://alerts.example/hook", "secret_name": "HOOK"},
        {"url": "http://alerts.example/hook", "secret_name": "1", "active": 1},
    ),
    "list_webhooks": Sample("/webhooks"),
    "get_webhook": Sample("/webhooks/w1"),
    "update_webhook": Sample("/webhooks/w1", {"active": False}, {"url": "ftp://x", "active": None}),
    "delete_webhook": Sample("/webhooks/w1"),
    "list_changes": Sample("/audit?kind=project&start=2026-01-01T00:00:00Z&limit=5"),
    "get_usage": Sample("/usage"),
    "get_request": Sample("/requests/req_1"),
    "get_openapi": Sample("/openapi.json"),
}

OF_CLICKHOUSE = frozenset({"list_changes", "get_usage", "get_request"})


def fill(server: AdminServer) -> None:
    """What the samples speak of."""
    for path, body in (
        ("/projects", {"organization_id": "acme", "project_id": "p1"}),
        ("/projects", {"organization_id": "acme", "project_id": "empty"}),
        ("/projects", {"organization_id": "other2", "project_id": "other-project"}),
        ("/keys", {"project_id": "p1", "api_key_id": "k1"}),
        ("/keys", {"project_id": "p1", "api_key_id": "k2", "customer_id": "c/1"}),
        ("/customers", {"organization_id": "acme", "customer_id": "c/1"}),
        ("/tags", {"organization_id": "acme", "key": "env", "value": "prod"}),
        ("/budgets", {"budget_id": "b1", "scope_kind": "project", "scope_id": "p1", "limit_usd": "10"}),
        (
            "/vendor-credentials",
            {"organization_id": "acme", "credential_id": "v1", "vendor": "anthropic", "secret_name": "A"},
        ),
        (
            "/webhooks",
            {"organization_id": "acme", "webhook_id": "w1", "url": "http://127.0.0.1:9/x", "secret_name": "W"},
        ),
    ):
        if body.get("organization_id") == "other2":
            server.call("POST", "/organizations", {"organization_id": "other2"})
        assert server.call("POST", path, body).status == 201, path
