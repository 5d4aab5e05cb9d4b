import os
import subprocess
import sys

from tests.billing_consumer.clickhouse_server import REPOSITORY


def validate(**variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("TOLLHOUSE_")} | variables
    return subprocess.run(
        [sys.executable, "-m", "billing_consumer", "--validate"],
        cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_two_settings_are_enough() -> None:
    done = validate(TOLLHOUSE_KAFKA_BOOTSTRAP="localhost:9092", TOLLHOUSE_CLICKHOUSE_URL="http://localhost:8123")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_problem_is_said_in_one_line_and_no_secret_with_it() -> None:
    done = validate(
        TOLLHOUSE_CLICKHOUSE_PASSWORD="hunter2",
        TOLLHOUSE_CLICKHOUSE_TIMEOUT_S="soon",
        TOLLHOUSE_BILLING_MAX_BATCH_RECORD="7",
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    for name in ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "CLICKHOUSE_TIMEOUT_S", "BILLING_MAX_BATCH_RECORD"):
        assert sum(f"TOLLHOUSE_{name}:" in line for line in lines) == 1, done.stderr
    assert "hunter2" not in done.stderr
