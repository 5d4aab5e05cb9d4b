"""Everything that the admin API can do: one table, from which routes and document are made."""

from admin_api.audit import LIST_CHANGES
from admin_api.crud import operations_of
from admin_api.key_operations import KEY_OPERATIONS
from admin_api.openapi import document_operation
from admin_api.operation import Operation
from admin_api.raise_operation import RAISE_BUDGET
from admin_api.resources.api_keys import API_KEYS
from admin_api.resources.budgets import BUDGETS
from admin_api.resources.customers import CUSTOMERS
from admin_api.resources.management_keys import MANAGEMENT_KEYS
from admin_api.resources.organizations import ORGANIZATIONS
from admin_api.resources.projects import PROJECTS
from admin_api.resources.resource import Resource
from admin_api.resources.tags import TAGS
from admin_api.resources.vendor_credentials import VENDOR_CREDENTIALS
from admin_api.resources.webhooks import WEBHOOKS
from admin_api.usage.operations import OPERATIONS as USAGE_OPERATIONS

RESOURCES: tuple[Resource, ...] = (
    ORGANIZATIONS,
    PROJECTS,
    API_KEYS,
    MANAGEMENT_KEYS,
    CUSTOMERS,
    TAGS,
    BUDGETS,
    VENDOR_CREDENTIALS,
    WEBHOOKS,
)

_DOCUMENTED: tuple[Operation, ...] = (
    *(operation for resource in RESOURCES for operation in operations_of(resource)),
    *KEY_OPERATIONS,
    RAISE_BUDGET,
    LIST_CHANGES,
    *USAGE_OPERATIONS,
)

OPERATIONS: tuple[Operation, ...] = (*_DOCUMENTED, document_operation(_DOCUMENTED))
