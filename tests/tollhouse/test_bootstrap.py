"""`tollhouse bootstrap` against a real Kafka: what it makes, that it may be repeated, and what it refuses."""

import asyncio
from pathlib import Path

import pytest

from admin_api.config_state import ConfigState
from runtime.clock import SystemClock
from runtime.kafka.clients import make_admin, make_reader, topic_name
from runtime.kafka.fenced_table import FencedTable
from runtime.kafka.topics_admin import create_topics
from runtime.lifecycle import Deadline, Supervisor
from runtime.shared_settings import KafkaSettings
from schemas.budgets import Budget
from schemas.tenancy import ApiKey, Organization, Project
from schemas.topics import Topic
from tollhouse.bootstrap import run

FILE = f"""
[[projects]]
project_id = "default"
organization_id = "acme"
budget_usd = "10"

[[api_keys]]
api_key_id = "local"
project_id = "default"
key_sha256 = "{"a" * 64}"
budget_usd = "2.5"
"""


def _set_environment(monkeypatch: pytest.MonkeyPatch, kafka: KafkaSettings) -> None:
    monkeypatch.setenv("TOLLHOUSE_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("TOLLHOUSE_KAFKA_TOPIC_PREFIX", kafka.topic_prefix)
    monkeypatch.setenv("TOLLHOUSE_KAFKA_FETCH_MAX_WAIT_MS", str(kafka.fetch_max_wait_ms))


async def _create_topics(kafka: KafkaSettings) -> None:
    await create_topics(make_admin(kafka), kafka, lambda _line: None)


async def _state_of(kafka: KafkaSettings) -> ConfigState:
    state, supervisor, clock = ConfigState(), Supervisor(), SystemClock()
    table = FencedTable(
        lambda: make_reader(kafka), topic_name(kafka, Topic.CONFIG), state.apply_bytes, clock, supervisor
    )
    await table.start()
    await table.stop(Deadline(clock, 5))
    await supervisor.cancel_all()
    return state


def test_makes_what_is_missing_once_and_leaves_the_rest(
    kafka_settings: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_create_topics(kafka_settings))
    _set_environment(monkeypatch, kafka_settings)
    path = tmp_path / "bootstrap.toml"
    path.write_text(FILE)

    assert run([str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "organization 'acme': made",
        "project 'default': made",
        "API key 'local': made",
        "budget 'project.default': made",
        "budget 'key.local': made",
    ]
    state = asyncio.run(_state_of(kafka_settings))
    assert state.get(Organization, "acme") == Organization(organization_id="acme")
    assert state.get(Project, "default") == Project(project_id="default", organization_id="acme")
    assert state.get(ApiKey, "local") == ApiKey(api_key_id="local", project_id="default", key_sha256="a" * 64)
    budget = state.get(Budget, "key.local")
    assert budget is not None
    assert (budget.limit_pico_usd, budget.period, budget.enforcement) == (2_500_000_000_000, "total", "hard")

    path.write_text(FILE + '[[customers]]\ncustomer_id = "c1"\norganization_id = "acme"\n')
    monkeypatch.setenv("TOLLHOUSE_BOOTSTRAP_FILE", str(path))
    assert run([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "customer 'acme/c1': made"
    assert len(lines) == 6
    assert all(line.endswith("is there, left as it is") for line in lines[1:])

    path.write_text('[[api_keys]]\napi_key_id = "x"\nproject_id = "nope"\nkey_sha256 = "' + "b" * 64 + '"\n')
    assert run([]) == 2
    assert capsys.readouterr().err == "bootstrap: API key 'x': project_id: There is no project 'nope'.\n"
    assert asyncio.run(_state_of(kafka_settings)).get(ApiKey, "x") is None


def test_says_what_is_wrong_before_it_looks_for_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLHOUSE_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert run([]) == 2
    assert "TOLLHOUSE_BOOTSTRAP_FILE" in capsys.readouterr().err
    assert run([str(tmp_path / "none.toml")]) == 2
    assert "none.toml: No such file or directory" in capsys.readouterr().err
    (tmp_path / "good.toml").write_text(FILE)
    assert run([str(tmp_path / "good.toml")]) == 1
    assert "bootstrap: Kafka at 127.0.0.1:1:" in capsys.readouterr().err
