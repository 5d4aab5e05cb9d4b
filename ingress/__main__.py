"""`python -m ingress [--validate]`."""

import sys

from ingress.service import build
from ingress.settings import IngressSettings
from runtime.catalogue.loader import InvalidCatalogue, load_catalogue
from runtime.lifecycle import Lifecycle
from runtime.process import Problems, gather, main


def prepare(settings: IngressSettings) -> Lifecycle:
    """Everything that can be wrong before anything is started. Raises Problems."""
    problems: list[str] = []
    catalogue = gather(problems, InvalidCatalogue, lambda: load_catalogue(settings.catalogue.files))
    if catalogue is None:
        raise Problems(problems)
    return build(settings, catalogue)


def run(arguments: list[str]) -> int:
    return main("ingress", IngressSettings, prepare, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
