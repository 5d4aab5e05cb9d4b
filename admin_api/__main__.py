"""`python -m admin_api [--validate]`."""

import sys

from admin_api.service import build
from admin_api.settings import AdminApiSettings
from runtime.process import main


def run(arguments: list[str]) -> int:
    return main("admin-api", AdminApiSettings, build, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
