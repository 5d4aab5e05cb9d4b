"""Imports each module named on the command line alone, and says what it did besides.

A fork per module from one process that has the third-party libraries loaded and nothing of ours: each module finds a
fresh interpreter, as far as our code goes, at the price of a fork. Prints JSON: module → what is wrong with it.
"""

import importlib
import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
THIRD_PARTY = (
    "aiohttp.web",
    "aiokafka.admin",
    "clickhouse_connect.driver.asyncclient",
    "msgspec",
    "orjson",
    "prometheus_client",
    "structlog",
    "uvloop",
)
OURS = ("tollhouse", "ingress", "router_worker", "billing_consumer", "runtime", "schemas", "deploy")
ACTS = ("socket.__new__", "socket.connect", "subprocess.Popen", "os.system", "os.fork", "_thread.start_new_thread")


def main(names: list[str]) -> None:
    for name in THIRD_PARTY:
        importlib.import_module(name)
    assert not set(OURS) & set(sys.modules)
    print(json.dumps({name: found for name in names if (found := _in_a_child(name))}))


def _in_a_child(name: str) -> list[str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as answer:
            json.dump(_import(name), answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    found: list[str] = json.loads(text) if text else ["it ended the process"]
    return found


def _import(name: str) -> list[str]:
    found: list[str] = []

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ACTS:
            found.append(event)
        elif event == "open" and isinstance(arguments[0], str) and _is_our_data(arguments[0]):
            found.append(f"opens {Path(arguments[0]).relative_to(ROOT)}")

    descriptors = _descriptors()
    sys.addaudithook(audit)
    try:
        importlib.import_module(name)
    except BaseException:  # noqa: BLE001 - whatever an import raises, SystemExit too, is what we are here to tell
        return [traceback.format_exc(limit=-3)]
    if threading.active_count() > 1:
        found.append(f"starts threads: {[thread.name for thread in threading.enumerate()[1:]]}")
    if left := _descriptors() - descriptors:
        found.append(f"leaves {len(left)} file descriptors open")
    return found


def _is_our_data(path: str) -> bool:
    where = Path(path)
    if not where.is_relative_to(ROOT) or where.suffix == ".py":
        return False
    # Compiled files are Python's own doing.
    return not {".venv", "__pycache__"} & set(where.relative_to(ROOT).parts)


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    main(sys.argv[1:])
