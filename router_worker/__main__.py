"""`python -m router_worker [--validate]`."""

import os
import sys

from router_worker.service import build
from router_worker.settings import WorkerSettings
from router_worker.vendor_setup import usable_vendors
from router_worker.vendors.table import InvalidVendors
from runtime.catalogue.loader import InvalidCatalogue, load_catalogue
from runtime.lifecycle import Lifecycle
from runtime.process import Problems, main


def prepare(settings: WorkerSettings) -> Lifecycle:
    """Everything that can be wrong before anything is started. Raises Problems."""
    try:
        catalogue = load_catalogue(settings.catalogue.files)
        vendors = usable_vendors(settings.vendors, os.environ)
    except (InvalidCatalogue, InvalidVendors) as error:
        raise Problems(error.problems) from error
    return build(settings, catalogue, vendors)


def run(arguments: list[str]) -> int:
    return main("router-worker", WorkerSettings, prepare, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
