"""Settings from the environment and a file: typed, or refused with every mistake at once."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from admin_api.settings import AdminApiSettings
from billing_consumer.settings import BillingSettings
from ingress.settings import IngressSettings
from router_worker.settings import WorkerSettings
from runtime.settings import InvalidSettings, load_settings, variable_name
from runtime.shared_settings import KNOWN_GROUPS, SERVICE_GROUPS, SHARED_GROUPS, KafkaSettings, Positive
from tollhouse.bootstrap import BootstrapSettings
from tollhouse.cli_admin import CliSettings

SERVICES: tuple[type[msgspec.Struct], ...] = (IngressSettings, WorkerSettings, BillingSettings, AdminApiSettings)
COMMANDS: tuple[type[msgspec.Struct], ...] = (BootstrapSettings, CliSettings)
KNOWN = frozenset({"store", "limits", "elsewhere"})


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    password: str = ""
    mode: Literal["fast", "safe"] = "safe"


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    open_requests: int = 10
    timeout_s: Positive = 2.5
    strict: bool = True
    files: tuple[str, ...] = ("built-in",)
    ports: tuple[int, ...] = ()
    port_file: str | None = "none.txt"


class ExampleSettings(msgspec.Struct, frozen=True, kw_only=True):
    store: StoreSettings
    limits: LimitSettings


def load(environ: dict[str, str]) -> ExampleSettings:
    return load_settings(ExampleSettings, environ, KNOWN)


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load(environ)
    return caught.value.problems


def with_file(tmp_path: Path, text: str, **environ: str) -> dict[str, str]:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return {"TOLLHOUSE_CONFIG_FILE": str(path), **environ}


def test_defaults_hold_where_nothing_is_set() -> None:
    assert load({"TOLLHOUSE_STORE_URL": "u"}) == ExampleSettings(store=StoreSettings(url="u"), limits=LimitSettings())


def test_the_environment_is_read_by_type() -> None:
    limits = load(
        {
            "TOLLHOUSE_STORE_URL": "u",
            "TOLLHOUSE_STORE_MODE": "fast",
            "TOLLHOUSE_LIMITS_OPEN_REQUESTS": "7",
            "TOLLHOUSE_LIMITS_TIMEOUT_S": "0.5",
            "TOLLHOUSE_LIMITS_STRICT": "false",
            "TOLLHOUSE_LIMITS_FILES": "a.toml, b.toml ,",
            "TOLLHOUSE_LIMITS_PORTS": "1,2",
            "TOLLHOUSE_LIMITS_PORT_FILE": "",
        }
    ).limits
    assert limits == LimitSettings(
        open_requests=7, timeout_s=0.5, strict=False, files=("a.toml", "b.toml"), ports=(1, 2), port_file=None
    )


def test_an_empty_list_is_no_list_at_all_but_empty() -> None:
    assert load({"TOLLHOUSE_STORE_URL": "u", "TOLLHOUSE_LIMITS_FILES": ""}).limits.files == ()


def test_the_file_gives_what_the_environment_does_not(tmp_path: Path) -> None:
    text = '[store]\nurl = "file"\nmode = "fast"\n[limits]\nopen_requests = 3\nfiles = ["x"]\n[elsewhere]\nany = 1\n'
    settings = load(with_file(tmp_path, text, TOLLHOUSE_STORE_URL="env", TOLLHOUSE_LIMITS_FILES="y"))
    assert settings.store == StoreSettings(url="env", mode="fast")
    assert settings.limits == LimitSettings(open_requests=3, files=("y",))


def test_every_mistake_is_told_at_once_under_the_name_to_correct(tmp_path: Path) -> None:
    text = '[store]\nmod = "fast"\n[limits]\nports = ["x"]\n[limit]\nopen_requests = 3\n'
    found = problems(
        with_file(
            tmp_path,
            text,
            TOLLHOUSE_STORE_MODE="slow",
            TOLLHOUSE_LIMITS_OPEN_REQUESTS="many",
            TOLLHOUSE_LIMITS_TIMEOUT_S="0",
            TOLLHOUSE_LIMITS_STRICT="perhaps",
            TOLLHOUSE_LIMITS_OPEN_REQUEST="5",
            TOLLHOUSE_LIMIT_OPEN_REQUESTS="5",
        )
    )
    assert [problem.split(":")[0] for problem in found] == [
        "TOLLHOUSE_LIMITS_OPEN_REQUEST",
        "TOLLHOUSE_LIMITS_OPEN_REQUESTS",
        "TOLLHOUSE_LIMITS_PORTS",
        "TOLLHOUSE_LIMITS_STRICT",
        "TOLLHOUSE_LIMITS_TIMEOUT_S",
        "TOLLHOUSE_LIMIT_OPEN_REQUESTS",
        "TOLLHOUSE_STORE_MODE",
        "TOLLHOUSE_STORE_URL",
        "[limit] in the settings file",
        "store.mod in the settings file",
    ]
    assert all("\n" not in problem for problem in found)


@pytest.mark.parametrize("value", ["nan", "-1", "0", "1s", ""])
def test_a_limit_that_is_no_positive_number_is_refused(value: str) -> None:
    (problem,) = problems({"TOLLHOUSE_STORE_URL": "u", "TOLLHOUSE_LIMITS_TIMEOUT_S": value})
    assert problem.startswith("TOLLHOUSE_LIMITS_TIMEOUT_S: ")


def test_another_services_settings_are_passed_over_and_other_programs_too() -> None:
    load(
        {
            "TOLLHOUSE_STORE_URL": "u",
            "TOLLHOUSE_ELSEWHERE_ANYTHING": "1",
            "TOLLHOUSE_CACHE_DIR": "of deploy.local",
            "HOME": "h",
            "STORE_URL": "other",
        }
    )


def test_a_value_is_never_quoted_back(tmp_path: Path) -> None:
    """Problems go to a log, and the value under a wrong name may be a password."""
    secret = "hunter2hunter2"
    for environ in (
        {"TOLLHOUSE_LIMITS_OPEN_REQUESTS": secret},
        {"TOLLHOUSE_LIMITS_TIMEOUT_S": secret},
        {"TOLLHOUSE_LIMITS_PORTS": secret},
        {"TOLLHOUSE_LIMITS_STRICT": secret},
        {"TOLLHOUSE_STORE_PASSWORT": secret},
        with_file(tmp_path, f'[store]\npasswort = "{secret}"\n'),
        with_file(tmp_path, f'[store]\npassword = ["{secret}"]\n'),
        with_file(tmp_path, f'[store]\npassword = "{secret}\n'),
        with_file(tmp_path, f'store = "{secret}"\n'),
    ):
        assert secret not in "\n".join(problems(environ))


@pytest.mark.parametrize("text", ["[store", 'store = "u"', "store = 3", "[[store]]\nurl = 'u'", "[store]\nurl = 5"])
def test_a_file_of_another_form_is_a_problem_and_no_crash(tmp_path: Path, text: str) -> None:
    assert problems(with_file(tmp_path, text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"[store]\nurl = '\xe9'\n")
    for path in (tmp_path / "missing.toml", tmp_path, tmp_path / "latin.toml"):
        found = problems({"TOLLHOUSE_CONFIG_FILE": str(path), "TOLLHOUSE_STORE_URL": "u"})
        assert [problem.startswith(f"TOLLHOUSE_CONFIG_FILE: {path}: ") for problem in found] == [True]


def test_known_groups_are_those_of_the_services() -> None:
    """A group missing here would be refused in a shared file; one too many would let a misspelt one pass."""
    groups = {service: {field.name for field in msgspec.structs.fields(service)} for service in SERVICES}
    of_commands = {field.name for command in COMMANDS for field in msgspec.structs.fields(command)}
    assert set().union(*groups.values()) | of_commands == KNOWN_GROUPS
    owners = {name: [service for service in SERVICES if name in groups[service]] for name in KNOWN_GROUPS}
    assert {name for name, services in owners.items() if len(services) > 1} == SHARED_GROUPS
    assert not SHARED_GROUPS & SERVICE_GROUPS


@pytest.mark.parametrize("service", SERVICES)
def test_no_two_settings_have_the_same_variable(service: type[msgspec.Struct]) -> None:
    names = [
        variable_name(group.name, field.name)
        for group in msgspec.structs.fields(service)
        for field in msgspec.structs.fields(group.type)
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("service", SERVICES)
def test_services_refuse_to_start_without_kafkas_address(service: type[msgspec.Struct]) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(service, {}, KNOWN_GROUPS)
    assert "TOLLHOUSE_KAFKA_BOOTSTRAP: is required and not set" in caught.value.problems


def test_idempotence_is_on_unless_turned_off() -> None:
    """G3: without it a broken connection doubles a usage event."""
    assert KafkaSettings(bootstrap="b").idempotence
