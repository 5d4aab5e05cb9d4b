"""`tollhouse local` as a person runs it, and a look at which processes a stack has."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

UP_LIMIT_S = 180.0


def local_command(directory: Path, verb: str, *options: str) -> list[str]:
    port = ["--port", "0"] if verb == "up" and "--port" not in options else []
    return [sys.executable, "-m", "tollhouse", "local", verb, "--dir", str(directory), *port, *options]


def run_local(
    directory: Path, verb: str, *options: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Ends when the command does. Whoever calls `up` calls `down`."""
    return subprocess.run(
        local_command(directory, verb, *options),
        env=dict(os.environ if environ is None else environ),
        capture_output=True,
        text=True,
        timeout=UP_LIMIT_S,
        check=False,
    )


def stack_of(directory: Path) -> dict[str, Any]:
    described: dict[str, Any] = json.loads((directory / "stack.json").read_text())
    return described


def processes_of(directory: Path) -> list[str]:
    """Command lines of all living processes that have to do with the folder: nothing may escape by being forgotten."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in command + environ:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def until(what: str, holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


def say_hello(directory: Path, model: str = "sim-echo") -> str:
    """The model's words; raises URLError for anything but 200."""
    stack = stack_of(directory)
    body = {"model": model, "messages": [{"role": "user", "content": "Hello, toll keeper"}]}
    request = urllib.request.Request(
        f"{stack['api_url']}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {stack['api_key']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: str = json.load(answer)["choices"][0]["message"]["content"]
        return content


def billed_attempts(directory: Path) -> int:
    sql = "SELECT count() FROM tollhouse.attempts_final"
    request = urllib.request.Request(stack_of(directory)["clickhouse_url"], data=sql.encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.read())


def is_ready(metrics_url: str) -> bool:
    try:
        with urllib.request.urlopen(metrics_url.replace("/metrics", "/readyz"), timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
