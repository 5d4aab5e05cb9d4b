"""The three pages that every service serves, over a real port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from runtime.lifecycle import Deadline
from runtime.metrics import Metrics
from runtime.probes import Probes, ReadyCheck, write_port_file
from runtime.shared_settings import ProbeSettings


@asynccontextmanager
async def serving(tmp_path: Path, checks: dict[str, ReadyCheck], metrics: Metrics) -> AsyncIterator[str]:
    port_file = tmp_path / "probes.url"
    probes = Probes(ProbeSettings(port_file=str(port_file)), metrics, checks)
    await probes.start()
    try:
        yield port_file.read_text(encoding="utf-8").strip()
    finally:
        await probes.stop(Deadline(SystemClock(), 5))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


async def test_alive_whether_ready_or_not(tmp_path: Path, metrics: Metrics) -> None:
    async with (
        serving(tmp_path, {"kafka": lambda: "away"}, metrics) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/livez") as response,
    ):
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_not_ready_names_what_is_not_and_ready_follows_at_once(tmp_path: Path, metrics: Metrics) -> None:
    reasons: dict[str, str | None] = {"kafka": "not joined yet", "drain": None}
    checks: dict[str, ReadyCheck] = {"kafka": lambda: reasons["kafka"], "drain": lambda: reasons["drain"]}
    async with serving(tmp_path, checks, metrics) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/readyz") as response:
            assert response.status == 503
            assert await response.json() == {"ready": False, "not_ready": {"kafka": "not joined yet"}}
        reasons["kafka"] = None
        async with session.get(f"{url}/readyz") as response:
            assert response.status == 200
            assert await response.json() == {"ready": True, "not_ready": {}}


async def test_metrics_are_served_in_prometheus_form(tmp_path: Path, metrics: Metrics) -> None:
    metrics.counter("tollhouse_kafka_dead_letters_total").labels(topic="usage").inc(3)
    async with (
        serving(tmp_path, {}, metrics) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/metrics") as response,
    ):
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert 'tollhouse_kafka_dead_letters_total{topic="usage"} 3.0' in (await response.text()).splitlines()


async def test_nothing_listens_after_the_stop(tmp_path: Path, metrics: Metrics) -> None:
    async with serving(tmp_path, {}, metrics) as url:
        pass
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/livez")


async def test_stop_before_start_is_harmless(metrics: Metrics) -> None:
    await Probes(ProbeSettings(), metrics, {}).stop(Deadline(SystemClock(), 0))


def test_a_port_file_replaces_the_last_one_and_leaves_no_draft(tmp_path: Path) -> None:
    port_file = tmp_path / "url"
    write_port_file(str(port_file), "http://127.0.0.1:1")
    write_port_file(str(port_file), "http://127.0.0.1:2")
    assert port_file.read_text(encoding="utf-8") == "http://127.0.0.1:2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["url"]
