"""What the stack writes for its services, and which process gets which secret. Nothing is started."""

import os
import tomllib
from pathlib import Path

import msgspec
import pytest

from deploy.local.child import StartFailed, told_as_missing
from deploy.local.layout import Layout
from deploy.local.options import StackOptions
from deploy.local.process_records import living_records, record_of, write_records
from deploy.local.service_environ import REAL_MODEL_CATALOGUE, SIMULATOR_CATALOGUE, Backends, Ports, service_environ
from deploy.local.simulated_rows import SIMULATED_VENDORS
from deploy.local.stack_lock import StackIsRunning, StackLock
from deploy.local.vendors.prices import load_prices
from deploy.local.written_files import first_secrets, known_secrets, plan_vendors, write_bootstrap
from router_worker.settings import VendorSettings
from router_worker.vendor_setup import usable_vendors, vendor_rows
from router_worker.vendors.table import BUILT_IN
from runtime.catalogue.loader import load_catalogue

SIMULATOR = "http://127.0.0.1:7001"


def service_settings(service: str, tmp_path: Path, environ: dict[str, str]) -> dict[str, str]:
    options = StackOptions(
        dir=tmp_path,
        port=0,
        ingress=1,
        workers=1,
        billing=1,
        kafka="auto",
        kafka_bootstrap=None,
        clickhouse_url=None,
        topic_prefix="t.",
        real_model=False,
        restart=True,
        environ=environ,
    )
    backends = Backends(
        kafka_bootstrap="127.0.0.1:9",
        kafka_kind="tansu",
        clickhouse_url="http://127.0.0.1:8",
        vendor_url=SIMULATOR,
        vendors=plan_vendors(SIMULATOR, None, environ),
    )
    ports = Ports(probe_port=7, probe_port_file=tmp_path / "port", api_port=6 if service == "ingress" else None)
    return service_environ(service, options, Layout(tmp_path), backends, ports)  # type: ignore[arg-type]


def test_a_vendor_with_its_key_is_real_and_every_other_one_is_simulated(tmp_path: Path) -> None:
    environ = {"ZAI_API_KEY": "real"}
    plan = plan_vendors(SIMULATOR, "http://127.0.0.1:7002", environ)
    assert plan.real == ("zai",)
    assert "openai" in plan.simulated
    file = tmp_path / "vendors.toml"
    file.write_text(plan.text)
    usable = usable_vendors(VendorSettings(file=str(file)), {**environ, **plan.stand_in_keys})
    assert usable["zai"].base_url == "https://api.z.ai/api/paas/v4"
    assert usable["zai"].api_key == "real"
    assert usable["openai"].base_url == f"{SIMULATOR}/openai/v1"
    assert usable["openai"].api_key == "simulated"
    assert usable["sim-b"].base_url == f"{SIMULATOR}/sim-b/v1"
    assert usable["local"].api_key is None


def test_every_wire_is_played(tmp_path: Path) -> None:
    plan = plan_vendors(SIMULATOR, None, {})
    file = tmp_path / "vendors.toml"
    file.write_text(plan.text)
    rows = vendor_rows(VendorSettings(file=str(file)))
    base_urls = {name: row.base_url.removeprefix(SIMULATOR) for name, row in rows.items() if name in SIMULATED_VENDORS}
    assert base_urls == {
        "sim-a": "/sim-a/v1",
        "sim-b": "/sim-b/v1",
        "sim-anthropic": "/sim-anthropic/v1",
        "sim-gemini": "/sim-gemini/v1beta",
        "sim-bedrock": "/sim-bedrock",
        "sim-cohere": "/sim-cohere",
        "sim-mistral": "/sim-mistral/v1",
        "sim-responses": "/sim-responses/v1",
    }
    for simulated, like in (("sim-anthropic", "anthropic"), ("sim-mistral", "mistral"), ("sim-gemini", "gemini")):
        changed = {"name": like, "base_url": BUILT_IN[like].base_url, "api_key_env": BUILT_IN[like].api_key_env}
        assert msgspec.structs.replace(rows[simulated], **changed) == BUILT_IN[like]
    assert rows["bedrock"].base_url == f"{SIMULATOR}/bedrock"
    assert rows["bedrock"].region == "us-east-1"
    # The simulator does not play Vertex, which therefore stays where it is, and without a key.
    assert not {"vertex", "vertex-anthropic"} & {*plan.simulated, *plan.stand_in_keys}
    assert rows["vertex"] == BUILT_IN["vertex"]


def test_aws_credentials_make_bedrock_real_and_reach_workers_only(tmp_path: Path) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "real"}
    assert plan_vendors(SIMULATOR, None, environ).real == ("bedrock",)
    assert service_settings("router_worker", tmp_path, environ)["AWS_SECRET_ACCESS_KEY"] == "real"
    assert "AWS_SECRET_ACCESS_KEY" not in service_settings("ingress", tmp_path, environ)


def test_a_mounted_key_makes_a_vendor_real_too(tmp_path: Path) -> None:
    (tmp_path / "OPENAI_API_KEY").write_text("real")
    plan = plan_vendors(SIMULATOR, None, {"TOLLHOUSE_VENDORS_KEYS_DIR": str(tmp_path)})
    assert plan.real == ("openai",)


def test_the_callers_own_vendors_win_and_get_no_stand_in_key(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[vendors.openai]\nbase_url = "https://eu.example/v1"\n[vendors.mine]\nbase_url = "http://mine/v1"\n'
    )
    plan = plan_vendors(SIMULATOR, None, {"TOLLHOUSE_VENDORS_FILE": str(own)})
    vendors = tomllib.loads(plan.text)["vendors"]
    assert vendors["openai"]["base_url"] == "https://eu.example/v1"
    assert vendors["mine"]["base_url"] == "http://mine/v1"
    assert vendors["zai"]["base_url"] == f"{SIMULATOR}/zai/v1"
    # A stand-in key would be sent to a real address.
    assert "OPENAI_API_KEY" not in plan.stand_in_keys


def test_a_broken_vendors_file_of_the_caller_is_told() -> None:
    with pytest.raises(StartFailed, match=r"TOLLHOUSE_VENDORS_FILE: /nowhere"):
        plan_vendors(SIMULATOR, None, {"TOLLHOUSE_VENDORS_FILE": "/nowhere"})


def test_vendor_keys_reach_workers_only(tmp_path: Path) -> None:
    environ = {"ZAI_API_KEY": "real", "PATH": "/bin"}
    worker = service_settings("router_worker", tmp_path, environ)
    assert worker["ZAI_API_KEY"] == "real"
    assert worker["OPENAI_API_KEY"] == "simulated"
    for service in ("ingress", "billing_consumer"):
        settings = service_settings(service, tmp_path, environ)
        assert not [name for name in settings if name.endswith("_API_KEY")]
        assert settings["PATH"] == "/bin"


def test_the_callers_settings_win_but_for_what_the_stack_has_to_know(tmp_path: Path) -> None:
    environ = {
        "TOLLHOUSE_LIFECYCLE_DRAIN_S": "3",
        "TOLLHOUSE_KAFKA_FETCH_MAX_WAIT_MS": "77",
        "TOLLHOUSE_CATALOGUE_FILES": "mine.toml, other.toml",
        "TOLLHOUSE_PROBE_PORT": "1",
        "TOLLHOUSE_INGRESS_PORT": "2",
    }
    settings = service_settings("ingress", tmp_path, environ)
    assert settings["TOLLHOUSE_LIFECYCLE_DRAIN_S"] == "3"
    assert settings["TOLLHOUSE_KAFKA_FETCH_MAX_WAIT_MS"] == "77"
    assert settings["TOLLHOUSE_KAFKA_IDEMPOTENCE"] == "false"
    assert settings["TOLLHOUSE_KAFKA_TOPIC_PREFIX"] == "t."
    assert settings["TOLLHOUSE_CATALOGUE_FILES"] == f"{SIMULATOR_CATALOGUE},mine.toml,other.toml"
    assert (settings["TOLLHOUSE_PROBE_PORT"], settings["TOLLHOUSE_INGRESS_PORT"]) == ("7", "6")


def test_the_keys_and_an_edited_bootstrap_file_are_kept(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    keys = first_secrets(layout)
    write_bootstrap(layout, keys)
    assert known_secrets(layout.bootstrap_file, keys) == (keys.api_key, keys.management_key)
    assert (keys.api_key[:3], keys.management_key[:4]) == ("th_", "thm_")
    for file in (layout.api_key_file, layout.management_key_file):
        assert file.stat().st_mode & 0o777 == 0o600
    assert not any(secret in layout.bootstrap_file.read_text() for secret in keys)

    layout.bootstrap_file.write_text('[[projects]]\nproject_id = "mine"\norganization_id = "me"\n')
    write_bootstrap(layout, first_secrets(layout))
    assert first_secrets(layout) == keys
    assert "mine" in layout.bootstrap_file.read_text()
    assert known_secrets(layout.bootstrap_file, keys) == (None, None)
    layout.bootstrap_file.write_text("[[projects]]\nname = 1\n")
    with pytest.raises(StartFailed, match=r"projects number 1"):
        known_secrets(layout.bootstrap_file, keys)


def test_simulated_models_cost_what_the_simulator_charges() -> None:
    prices = load_prices()
    built_in = {model.model_id for model in load_catalogue(()).models}
    models = [model for model in load_catalogue((SIMULATOR_CATALOGUE,)).models if model.model_id not in built_in]
    assert "sim-echo" in {model.model_id for model in models}
    for route in [route for model in models for route in model.routes]:
        charged = prices.price(route.vendor, route.vendor_model.partition(":")[0])
        (price,) = route.prices
        assert price.cached_input is not None
        assert int(price.input * 10**12) == charged.input_atto_usd
        assert int(price.cached_input * 10**12) == charged.cached_input_atto_usd
        assert int(price.output * 10**12) == charged.output_atto_usd == charged.reasoning_atto_usd
        assert int((price.cache_write or price.input) * 10**12) == charged.cache_write_atto_usd
        assert int((price.cache_write_1h or price.input) * 10**12) == charged.cache_write_1h_atto_usd


def test_the_real_models_catalogue_can_be_laid_over_all_others() -> None:
    assert load_catalogue((SIMULATOR_CATALOGUE, REAL_MODEL_CATALOGUE)).find("smollm2-135m") is not None


def test_a_request_for_zero_data_retention_finds_simulated_routes() -> None:
    catalogue = load_catalogue((SIMULATOR_CATALOGUE, REAL_MODEL_CATALOGUE))
    for model_id in ("sim-zdr", "smollm2-135m"):
        model = catalogue.find(model_id)
        assert model is not None
        assert all(route.zero_data_retention for route in model.routes)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"ready":false,"not_ready":{"kafka":"not yet there","api":"away"}}', "kafka: not yet there, api: away"),
        ("Service Unavailable", "says it is not ready: Service Unavailable"),
        ('{"error":"loading"}', 'says it is not ready: {"error":"loading"}'),
        ("[]", "says it is not ready: []"),
    ],
)
def test_what_a_service_lacks_is_told_in_words(body: str, told: str) -> None:
    assert told_as_missing(body) == told


def test_only_one_keeper_for_a_folder(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lock = StackLock.take(layout)
    lock.sign()
    with pytest.raises(StackIsRunning) as refused:
        StackLock.take(layout)
    assert refused.value.keeper_pid == os.getpid()
    lock.release()
    StackLock.take(layout).release()


def test_a_pid_that_another_program_has_by_now_is_not_ours(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    own = record_of("this test", os.getpid())
    assert own is not None
    reused = type(own)("another", own.pid, "long ago")
    write_records(layout, [own, reused])
    assert living_records(layout) == [own]
