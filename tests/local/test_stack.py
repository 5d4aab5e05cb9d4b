"""The one-machine stack from outside: what it starts, what it says when it cannot, and that nothing stays behind."""

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local.stack_command import (
    UP_LIMIT_S,
    billed_attempts,
    is_ready,
    local_command,
    processes_of,
    run_local,
    say_hello,
    stack_of,
    until,
)

pytestmark = pytest.mark.e2e

SERVICES = ("ingress", "router_worker", "billing_consumer", "admin_api")
SERVERS = ("keeper", "kafka", "clickhouse", "vendors")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "stack"
    yield directory
    run_local(directory, "down")
    assert processes_of(directory) == []


def test_two_runs_of_a_stack_share_one_set_of_data(directory: Path) -> None:
    first = run_local(directory, "up", "--detach", "--ingress", "2", "--workers", "2", "--prefix", "t.")
    assert first.returncode == 0, first.stdout + first.stderr

    stack = stack_of(directory)
    assert len(stack["api_urls"]) == 2
    assert stack["api_url"] == stack["api_urls"][0]
    assert stack["api_url"] in first.stdout
    assert stack["api_key"] in first.stdout
    assert f"'make down STACK_DIR={directory}' stops it; the data is kept." in first.stdout
    assert stack["topic_prefix"] == "t."
    assert stack["admin_url"] in first.stdout
    assert stack["management_key"].startswith("thm_")
    assert stack["management_key"] not in first.stdout
    assert [len(stack["pids"][service]) for service in SERVICES] == [2, 2, 1, 1]
    for pid in [pid for service in SERVICES for pid in stack["pids"][service]] + [
        stack["pids"][one] for one in SERVERS
    ]:
        os.kill(pid, 0)
    for service in SERVICES:
        for url in stack["metrics_urls"][service]:
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert b"# HELP" in answer.read()
    assert (directory / "api_key").stat().st_mode & 0o777 == 0o600

    assert say_hello(directory) == "Hello, toll keeper"
    assert say_hello(directory, "sim-500-then-ok") == "Hello, toll keeper"
    # A built-in vendor without its key is played by the simulator.
    assert say_hello(directory, "gpt-4o-mini") == "Hello, toll keeper"
    until("four attempts are billed", lambda: billed_attempts(directory) == 4)

    second = run_local(directory, "up", "--detach")
    assert second.returncode == 1
    assert f"(pid {stack['pids']['keeper']}); 'make down STACK_DIR={directory}' stops it" in second.stderr
    assert len(second.stderr.splitlines()) == 1

    assert run_local(directory, "down").returncode == 0
    assert processes_of(directory) == []
    assert not (directory / "stack.json").exists()
    again = run_local(directory, "down")
    assert (again.returncode, "nothing is running" in again.stdout) == (0, True)

    third = run_local(directory, "up", "--detach", "--prefix", "t.")
    assert third.returncode == 0, third.stdout + third.stderr
    assert stack_of(directory)["api_key"] == stack["api_key"]
    assert say_hello(directory) == "Hello, toll keeper"
    until("the attempts of both runs are there", lambda: billed_attempts(directory) == 5)


def test_a_taken_port_is_told_in_one_line_and_nothing_is_started(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_local(directory, "up", "--detach", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert processes_of(directory) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--workers", "x"), "--workers: 'x' is not a whole number"),
        (("--clickhouse-url", "localhost:8123"), "CLICKHOUSE_URL: 'localhost:8123' is no URL"),
        (("--prefix", "a b"), "TOPIC_PREFIX: 'a b' cannot be used"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(directory: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run_local(directory, "up", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not directory.exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_local(tmp_path / "file" / "stack", "up")
    assert done.returncode == 1
    assert done.stderr.startswith(f"tollhouse: cannot make the folder {tmp_path}/file/stack (STACK_DIR): ")


def test_without_java_there_is_tansu_with_a_notice(directory: Path, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"} | {"PATH": str(tmp_path)}
    done = run_local(directory, "up", "--detach", environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no Apache Kafka: " in done.stdout
    assert "memory only" in done.stdout
    assert stack_of(directory)["kafka_kind"] == "tansu"
    assert say_hello(directory) == "Hello, toll keeper"
    until("it is billed", lambda: billed_attempts(directory) == 1)


def test_settings_that_a_service_refuses_are_told_and_all_else_is_stopped(directory: Path) -> None:
    environ = {**os.environ, "TOLLHOUSE_WORKER_MAX_IN_FLIGHT": "many"}
    done = run_local(directory, "up", "--detach", environ=environ)
    assert done.returncode == 1
    assert "router-worker-1 ended with exit code 2" in done.stderr
    assert "TOLLHOUSE_WORKER_MAX_IN_FLIGHT" in done.stderr
    assert str(directory / "logs" / "router-worker-1.log") in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(directory) == []


def test_killed_processes_are_started_again_and_a_killed_keeper_leaves_nothing_that_down_does_not_find(
    directory: Path,
) -> None:
    assert run_local(directory, "up", "--detach").returncode == 0
    stack = stack_of(directory)
    worker = stack["pids"]["router_worker"][0]
    os.kill(worker, signal.SIGKILL)
    until("another worker is noted", lambda: stack_of(directory)["pids"]["router_worker"] not in ([], [worker]))
    until("it is ready, at the same address", lambda: is_ready(stack["metrics_urls"]["router_worker"][0]))
    assert say_hello(directory) == "Hello, toll keeper"

    os.kill(stack["pids"]["keeper"], signal.SIGKILL)
    down = run_local(directory, "down")
    assert down.returncode == 0
    assert (
        "left behind: kafka, clickhouse, vendors, admin-api-1, billing-consumer-1, router-worker-1, ingress-1"
        in down.stdout
    )
    assert processes_of(directory) == []


def test_when_a_server_ends_all_is_stopped(directory: Path) -> None:
    assert run_local(directory, "up", "--detach").returncode == 0
    os.kill(stack_of(directory)["pids"]["vendors"], signal.SIGKILL)
    until("everything has stopped", lambda: processes_of(directory) == [])
    assert (
        "vendors ended (SIGKILL); the stack cannot go on without it" in (directory / "logs" / "keeper.log").read_text()
    )


def test_with_no_restart_what_is_killed_stays_away_until_it_is_called_back(directory: Path) -> None:
    assert run_local(directory, "up", "--detach", "--no-restart").returncode == 0
    before = stack_of(directory)
    for pid in (before["pids"]["kafka"], before["pids"]["billing_consumer"][0]):
        os.kill(pid, signal.SIGKILL)

    def both_are_gone() -> bool:
        pids = stack_of(directory)["pids"]
        return pids["kafka"] is None and pids["billing_consumer"] == []

    until("both ends are noted", both_are_gone)
    os.kill(before["pids"]["keeper"], signal.SIGUSR1)
    until("all are back", lambda: not both_are_gone() and stack_of(directory)["pids"]["billing_consumer"] != [])
    urls = [url for service in SERVICES for url in before["metrics_urls"][service]]
    until("all are ready again", lambda: all(is_ready(url) for url in urls), within_s=60.0)
    assert stack_of(directory)["kafka_bootstrap"] == before["kafka_bootstrap"]
    assert say_hello(directory) == "Hello, toll keeper"


@pytest.mark.parametrize(
    ("when", "seen", "exit_code"),
    [
        ("as soon as it starts", lambda directory: (directory / "processes.json").exists(), 130),
        ("when all is ready", lambda directory: (directory / "stack.json").exists(), 0),
    ],
)
def test_ctrl_c_stops_everything(
    directory: Path, when: str, seen: Callable[[Path], bool], exit_code: int, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with output.open("wb") as file:
        # In a session of its own, so that the signal, sent as a terminal does, to the group, does not reach pytest.
        running = subprocess.Popen(
            local_command(directory, "up"), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    until(when, lambda: seen(directory), within_s=UP_LIMIT_S)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) == exit_code, output.read_text()
    assert "Traceback" not in output.read_text()
    assert processes_of(directory) == []
