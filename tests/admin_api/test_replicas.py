"""Two admin replicas, as processes, on one real Kafka: both write at once, and everybody soon knows what they wrote."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from ingress.directory import Caller, Directory
from runtime.clock import SystemClock
from runtime.kafka.clients import make_admin, make_reader, topic_name
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.topics_admin import create_topics
from runtime.lifecycle import Deadline, Supervisor
from runtime.shared_settings import KafkaSettings
from schemas.config_record import CONFIG
from schemas.tenancy import hash_api_key
from schemas.topics import Topic
from tests.runtime.waiting import until
from tollhouse.bootstrap import run as run_bootstrap

REPOSITORY = Path(__file__).parents[2]
KEY = "thm_" + "7" * 40
CHANGES = 40


class Replica:
    """`python -m admin_api`."""

    def __init__(self, environ: dict[str, str], path: Path) -> None:
        self._port_file = path / "port"
        self._log = path / "log"
        path.mkdir()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "admin_api"],
                cwd=REPOSITORY,
                env=os.environ
                | environ
                | {"TOLLHOUSE_ADMIN_PORT": "0", "TOLLHOUSE_ADMIN_PORT_FILE": str(self._port_file)},
                stdout=log,
                stderr=log,
            )

    async def until_ready(self) -> None:
        await until(lambda: self._port_file.exists() or self._process.poll() is not None, "the replica is ready")
        assert self._process.poll() is None, self._log.read_text()[-3000:]

    async def call(self, session: ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = self._port_file.read_text().strip()
        headers = {"Authorization": f"Bearer {KEY}"}
        async with session.request(method, f"{url}/admin/v1{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        await until(lambda: self._process.poll() is not None, "the replica ends after SIGTERM")
        return self._process.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@asynccontextmanager
async def ingress_directory(kafka: KafkaSettings) -> AsyncIterator[Directory]:
    directory, supervisor, clock = Directory(), Supervisor(), SystemClock()

    def apply(_partition: int, _key: str, value: bytes | None) -> None:
        if value is not None:
            directory.apply(CONFIG.decode(value))

    table = FencedTable(lambda: make_reader(kafka), topic_name(kafka, Topic.CONFIG), apply, clock, supervisor)
    await table.start()
    yield directory
    await table.stop(Deadline(clock, 5))
    await supervisor.cancel_all()


@pytest.fixture
async def replicas(
    kafka_settings: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Replica]]:
    await create_topics(make_admin(kafka_settings), kafka_settings, lambda _line: None)
    environ = {
        "TOLLHOUSE_KAFKA_BOOTSTRAP": kafka_settings.bootstrap,
        "TOLLHOUSE_KAFKA_TOPIC_PREFIX": kafka_settings.topic_prefix,
        "TOLLHOUSE_KAFKA_FETCH_MAX_WAIT_MS": "20",
        "TOLLHOUSE_CLICKHOUSE_URL": "http://127.0.0.1:1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "bootstrap.toml"
    file.write_text(
        f'[[management_keys]]\nmanagement_key_id = "root"\nkey_sha256 = "{hash_api_key(KEY)}"\n'
        '[[projects]]\nproject_id = "p"\norganization_id = "acme"\n'
    )
    assert await asyncio.to_thread(run_bootstrap, [str(file)]) == 0
    started = [Replica(environ, tmp_path / name) for name in ("a", "b")]
    try:
        for replica in started:
            await replica.until_ready()
        yield started
    finally:
        for replica in started:
            replica.kill()


async def test_two_replicas_write_at_once_and_everybody_knows(
    kafka_settings: KafkaSettings, replicas: list[Replica]
) -> None:
    first, second = replicas
    async with ClientSession() as session, ingress_directory(kafka_settings) as directory:
        started_s = time.monotonic()
        made = await asyncio.gather(
            *(
                replicas[number % 2].call(session, "POST", "/keys", {"project_id": "p", "api_key_id": f"k{number}"})
                for number in range(CHANGES)
            )
        )
        took_s = time.monotonic() - started_s
        # A 503 says that replicas were too much in each other's way: the caller looks, and repeats.
        assert {status for status, _ in made} <= {201, 503}
        won = [body for status, body in made if status == 201]
        print(f"\n{len(won)} of {CHANGES} changes by two replicas at once, in {took_s:.2f} s")
        assert len(won) >= CHANGES // 2
        await until(lambda: all(opens(directory, body["secret"]) for body in won), "the ingress knows every key")

        async def known_to(replica: Replica) -> set[str]:
            _, page = await replica.call(session, "GET", "/keys?limit=500")
            return {key["api_key_id"] for key in page["data"]}

        assert await known_to(first) == await known_to(second) >= {body["api_key_id"] for body in won}

        key = won[0]
        asked_s = time.monotonic()
        status, body = await first.call(session, "POST", f"/keys/{key['api_key_id']}/revoke")
        assert (status, body["revoked"]) == (200, True)
        answered_s = time.monotonic()
        await until(lambda: not opens(directory, key["secret"]), "the ingress refuses the revoked key")
        refused_s = time.monotonic()
        print(
            f"revoked: answered after {1000 * (answered_s - asked_s):.0f} ms,"
            f" refused by an ingress after {1000 * (refused_s - asked_s):.0f} ms"
        )
        status, body = await second.call(session, "GET", "/audit")
        assert (status, body["error"]["code"]) == (503, "clickhouse_unavailable")
    assert [await replica.stop() for replica in replicas] == [0, 0]


async def test_a_killed_replica_leaves_nothing_half_done(
    kafka_settings: KafkaSettings, replicas: list[Replica]
) -> None:
    first, second = replicas
    async with ClientSession() as session:
        status, made = await first.call(session, "POST", "/keys", {"project_id": "p", "api_key_id": "k"})
        assert status == 201
        first.kill()
        status, body = await second.call(session, "POST", "/keys", {"project_id": "p", "api_key_id": "k"})
        assert (status, body["error"]["code"]) == (409, "already_exists")
        status, _ = await second.call(session, "POST", "/keys/k/revoke")
        assert status == 200
    async with ingress_directory(kafka_settings) as directory:
        assert not opens(directory, made["secret"])


def opens(directory: Directory, secret: str) -> bool:
    return isinstance(directory.find(secret, SystemClock().now_ms()), Caller)
