"""`python -m router_worker [--validate]`."""

import os
import sys

from router_worker.google_tokens import InvalidServiceAccount, ServiceAccount, credentials_path, read_service_account
from router_worker.service import build
from router_worker.settings import WorkerSettings
from router_worker.vendor_setup import unknown_vendors, vendor_rows
from router_worker.vendors.table import InvalidVendors
from runtime.catalogue.loader import InvalidCatalogue, load_catalogue
from runtime.lifecycle import Lifecycle
from runtime.process import Problems, gather, main


def prepare(settings: WorkerSettings) -> Lifecycle:
    """Everything that can be wrong before anything is started. Raises Problems."""
    problems: list[str] = []
    catalogue = gather(problems, InvalidCatalogue, lambda: load_catalogue(settings.catalogue.files))
    rows = gather(problems, InvalidVendors, lambda: vendor_rows(settings.vendors))
    if catalogue is not None and rows is not None:
        problems += unknown_vendors(catalogue, rows)
    account: ServiceAccount | None = None
    if (path := credentials_path(os.environ)) is not None:
        account = gather(problems, InvalidServiceAccount, lambda: read_service_account(path))
    if problems or catalogue is None or rows is None:
        raise Problems(problems)
    try:
        return build(settings, catalogue, os.environ, account)
    except InvalidServiceAccount as error:
        raise Problems(error.problems) from error


def run(arguments: list[str]) -> int:
    return main("router-worker", WorkerSettings, prepare, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
