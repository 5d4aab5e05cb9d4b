"""Which vendors can be called, by their keys and the operator's file."""

from pathlib import Path

import pytest

from router_worker.settings import VendorSettings
from router_worker.vendor_setup import unknown_vendors, usable_vendors, vendor_rows
from router_worker.vendors.table import InvalidVendors
from schemas.catalogue import Catalogue
from tests.fakes.vendors import model, route

FILE = """
[vendors.local]
base_url = "http://127.0.0.1:9/v1/"

[vendors.private]
base_url = "https://private.example/v1"
api_key_env = "PRIVATE_KEY"

[vendors.deepseek]
base_url = "http://127.0.0.1:9/deepseek"
"""


def test_without_keys_there_are_no_vendors() -> None:
    assert usable_vendors(VendorSettings(), {}) == {}


def test_a_vendor_needs_its_key_or_none() -> None:
    usable = usable_vendors(VendorSettings(), {"DEEPSEEK_API_KEY": "k1\n", "ZAI_API_KEY": "\n"})
    assert list(usable) == ["deepseek"]
    assert usable["deepseek"].api_key == "k1"
    assert usable["deepseek"].base_url.startswith("https://")


def test_the_operators_rows_lie_over_the_built_in_ones(tmp_path: Path) -> None:
    file = tmp_path / "vendors.toml"
    file.write_text(FILE, encoding="utf-8")
    usable = usable_vendors(VendorSettings(file=str(file)), {"DEEPSEEK_API_KEY": "k1"})
    assert set(usable) == {"local", "deepseek"}
    assert (usable["local"].api_key, usable["local"].base_url) == (None, "http://127.0.0.1:9/v1")
    assert usable["deepseek"].base_url == "http://127.0.0.1:9/deepseek"


def test_a_mounted_key_wins_and_is_stripped(tmp_path: Path) -> None:
    (tmp_path / "DEEPSEEK_API_KEY").write_text("mounted\n", encoding="utf-8")
    settings = VendorSettings(keys_dir=str(tmp_path))
    usable = usable_vendors(settings, {"DEEPSEEK_API_KEY": "environ", "ZAI_API_KEY": "z"})
    assert {name: vendor.api_key for name, vendor in usable.items()} == {"deepseek": "mounted", "zai": "z"}


def test_an_empty_mounted_key_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "DEEPSEEK_API_KEY").write_text("\n", encoding="utf-8")
    assert usable_vendors(VendorSettings(keys_dir=str(tmp_path)), {}) == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[vendors.x]\n", "vendors.x.base_url"),
        (b"[vendors.x]\nbase_url = 'http://h'\nnonsense = 1\n", "nonsense"),
        (b"not toml", "vendors.toml"),
        (b"\xff", "vendors.toml"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "vendors.toml"
    file.write_bytes(content)
    with pytest.raises(InvalidVendors) as invalid:
        usable_vendors(VendorSettings(file=str(file)), {})
    assert all(str(file) in line for line in invalid.value.problems)
    assert problem in invalid.value.problems[0]


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(InvalidVendors, match=r"nowhere\.toml"):
        usable_vendors(VendorSettings(file="nowhere.toml"), {})


def test_a_route_to_a_vendor_that_there_is_not_is_named() -> None:
    catalogue = Catalogue((model(route("zai", "glm"), route("my-vlm", "x")),))
    assert unknown_vendors(catalogue, vendor_rows(VendorSettings())) == [
        "catalogue: m: routes[1]: there is no vendor 'my-vlm'"
    ]


def test_a_vendor_in_a_place_needs_the_places_name() -> None:
    key = {"AWS_BEARER_TOKEN_BEDROCK": "k"}
    assert "bedrock" not in usable_vendors(VendorSettings(), key)
    bedrock = usable_vendors(VendorSettings(), {**key, "AWS_REGION": "eu-central-1"})["bedrock"]
    assert (bedrock.base_url, bedrock.key(), bedrock.aws) == (
        "https://bedrock-runtime.eu-central-1.amazonaws.com",
        "k",
        None,
    )


def test_aws_credentials_are_used_where_there_is_no_key() -> None:
    found = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    bedrock = usable_vendors(VendorSettings(), {**found, "AWS_SESSION_TOKEN": "token"})["bedrock"]
    assert bedrock.key() is None
    assert bedrock.aws is not None
    assert (bedrock.aws.access_key_id, bedrock.aws.session_token) == ("id", "token")
    assert "secret" not in repr(bedrock)
    assert "bedrock" not in usable_vendors(VendorSettings(), {key: found[key] for key in list(found)[:2]})


def test_vertex_takes_the_access_token_of_the_moment() -> None:
    place = {"GOOGLE_CLOUD_LOCATION": "europe-west1", "GOOGLE_CLOUD_PROJECT": "p"}
    tokens = iter(["first", "second"])
    usable = usable_vendors(VendorSettings(), place, lambda: next(tokens))
    assert {"vertex", "vertex-anthropic"} <= usable.keys()
    assert [usable["vertex"].key(), usable["vertex"].key()] == ["first", "second"]
    assert usable["vertex"].base_url.startswith("https://europe-west1-aiplatform.googleapis.com/v1/projects/p/")
    assert usable_vendors(VendorSettings(), place) == {}


def test_vertex_in_no_place_in_particular() -> None:
    place = {"GOOGLE_CLOUD_LOCATION": "global", "GOOGLE_CLOUD_PROJECT": "p", "VERTEX_ACCESS_TOKEN": "t"}
    vertex = usable_vendors(VendorSettings(), place)["vertex"]
    assert vertex.base_url == "https://aiplatform.googleapis.com/v1/projects/p/locations/global"
