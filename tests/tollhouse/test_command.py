"""The command: its pages are true and its mistakes are told in a line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tollhouse.__main__ import _MODULES
from tollhouse.settings_page import page

REPOSITORY = Path(__file__).parents[2]


def tollhouse(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOLLHOUSE_")}
    return subprocess.run(
        [sys.executable, "-m", "tollhouse", *arguments],
        cwd=REPOSITORY,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_page_of_settings_is_what_the_code_says() -> None:
    written = (REPOSITORY / "docs" / "settings.md").read_text()
    assert written == page(), "run: tollhouse settings > docs/settings.md"


def test_an_unknown_command_is_told_with_the_known_ones() -> None:
    done = tollhouse("fly")
    assert done.returncode == 2
    assert "there is no command 'fly'" in done.stderr
    assert all(name in done.stderr for name in _MODULES)


@pytest.mark.parametrize("service", ["ingress", "router-worker", "billing-consumer", "admin-api"])
def test_every_missing_setting_is_named_at_once_without_a_trace(service: str) -> None:
    done = tollhouse(service, "--validate", TOLLHOUSE_LOG_LEVEL="loud")
    assert done.returncode == 2
    assert "TOLLHOUSE_KAFKA_BOOTSTRAP: is required and not set" in done.stderr
    assert "TOLLHOUSE_LOG_LEVEL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("command", "what"), [("topics", "Kafka at 127.0.0.1:1"), ("migrate", "ClickHouse at http")])
def test_a_server_that_is_away_is_named_in_a_line(command: str, what: str) -> None:
    done = tollhouse(command, TOLLHOUSE_KAFKA_BOOTSTRAP="127.0.0.1:1", TOLLHOUSE_CLICKHOUSE_URL="http://127.0.0.1:1")
    assert done.returncode == 1
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def test_addresses_that_cannot_work_are_refused_before_anything_starts() -> None:
    done = tollhouse(
        "billing-consumer", "--validate", TOLLHOUSE_KAFKA_BOOTSTRAP="", TOLLHOUSE_CLICKHOUSE_URL="localhost:8123"
    )
    assert done.returncode == 2
    assert "TOLLHOUSE_KAFKA_BOOTSTRAP" in done.stderr
    assert "TOLLHOUSE_CLICKHOUSE_URL" in done.stderr
