"""One stack for all end-to-end tests that only use it; those that break it for good bring their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack

# Short enough that a test of a silent vendor is quick, long enough for a busy machine.
QUICK_TIMEOUTS = {"TOLLHOUSE_WORKER_FIRST_BYTE_TIMEOUT_S": "4", "TOLLHOUSE_WORKER_ANSWER_TIMEOUT_S": "4"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    stack = Stack(directory, ["--ingress", "1", "--workers", "2", "--billing", "1"], QUICK_TIMEOUTS)
    stack.up()
    yield stack
    stack.down()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def stack_dir(tmp_path: Path) -> Path:
    return tmp_path / "stack"
