"""Which code speaks which wire format."""

from collections.abc import Mapping

from router_worker.vendors.openai_chat import OpenAiChat
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import Vendor


def make_vendor(row: VendorRow) -> Vendor:
    match row.wire:
        case "openai":
            return OpenAiChat(row)


def make_vendors(table: Mapping[str, VendorRow]) -> dict[str, Vendor]:
    return {name: make_vendor(row) for name, row in table.items()}
