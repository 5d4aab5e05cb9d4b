"""`python -m ingress [--validate]`."""

import sys

from ingress.service import build
from ingress.settings import IngressSettings
from ingress.tenants_file import InvalidTenants, load_tenants
from runtime.catalogue.loader import InvalidCatalogue, load_catalogue
from runtime.lifecycle import Lifecycle
from runtime.process import Problems, gather, main


def prepare(settings: IngressSettings) -> Lifecycle:
    """Everything that can be wrong before anything is started. Raises Problems."""
    problems: list[str] = []
    catalogue = gather(problems, InvalidCatalogue, lambda: load_catalogue(settings.catalogue.files))
    tenants = gather(problems, InvalidTenants, lambda: load_tenants(settings.tenants.file))
    if catalogue is None or tenants is None:
        raise Problems(problems)
    return build(settings, catalogue, tenants)


def run(arguments: list[str]) -> int:
    return main("ingress", IngressSettings, prepare, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
