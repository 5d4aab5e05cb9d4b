"""The start of every service process: read settings, say all that is wrong with them, or run."""

import argparse
import gc
import os
import sys
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import msgspec
import structlog
import uvloop

from runtime.lifecycle import Lifecycle
from runtime.logs import configure_logs
from runtime.settings import InvalidSettings, load_settings
from runtime.shared_settings import KNOWN_GROUPS, LogSettings

EXIT_INVALID_SETTINGS = 2

SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


class Problems(Exception):
    """What a service finds wrong with the files that its settings name, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class HasProblems(Protocol):
    @property
    def problems(self) -> list[str]: ...


ResultT = TypeVar("ResultT")


def gather(problems: list[str], error_type: type[Exception], load: Callable[[], ResultT]) -> ResultT | None:
    """What `load` gives; or None, with the error's problems added to the others, so that all are told at once."""
    try:
        return load()
    except error_type as error:
        problems += cast(HasProblems, error).problems
        return None


def _collect_garbage_seldom() -> None:
    """What a request leaves behind is freed by reference counts; cycles are few. Python's defaults would look for them
    some hundred times a second, through everything that was loaded at the start as well."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main(
    service: str, settings_type: type[SettingsT], prepare: Callable[[SettingsT], Lifecycle], arguments: list[str]
) -> int:
    """Exit code: 0 stopped in order, 1 failed, 2 the settings are wrong. `prepare` wires without starting anything."""
    parser = argparse.ArgumentParser(prog=f"tollhouse {service}")
    parser.add_argument("--validate", action="store_true", help="check the settings and exit")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(settings_type, os.environ, KNOWN_GROUPS)
        log_settings: LogSettings = getattr(settings, "log")  # noqa: B009 - every service's settings have this group
        configure_logs(log_settings.level, service)
        lifecycle = prepare(settings)
    except (InvalidSettings, Problems) as error:
        for problem in error.problems:
            print(f"{service}: {problem}", file=sys.stderr)  # noqa: T201 - for the person who started it, before logs exist
        return EXIT_INVALID_SETTINGS
    if options.validate:
        print(f"{service}: settings are valid")  # noqa: T201 - the answer to --validate
        return 0
    structlog.contextvars.bind_contextvars(pid=os.getpid())
    _collect_garbage_seldom()
    return uvloop.run(lifecycle.run())
