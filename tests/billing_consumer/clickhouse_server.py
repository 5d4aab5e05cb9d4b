"""The local ClickHouse as a child process, for tests."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 60.0


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    until_s = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until_s:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        time.sleep(0.02)


class ClickHouseProcess:
    """May be killed and started again on the same data and port."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._port_file = path.with_suffix(".port")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._port_file.unlink(missing_ok=True)
        options = ["--path", str(self._path), "--port", str(self.port), "--port-file", str(self._port_file)]
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.clickhouse", *options],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: self._port_file.exists() or process.poll() is not None, "ClickHouse serves its port")
        assert process.poll() is None, "ClickHouse ended at its start"
        self.port = int(self._port_file.read_text().strip().rpartition(":")[2])

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def clickhouse_process(path: Path) -> Iterator[ClickHouseProcess]:
    server = ClickHouseProcess(path)
    server.start()
    try:
        yield server
    finally:
        server.kill()
