"""The vendors' rows, and an operator's file over them."""

import tomllib
from typing import get_args

import pytest

from router_worker.vendors.row import Quirks, VendorRow, Wire
from router_worker.vendors.table import BUILT_IN, InvalidVendors, read_vendor_rows, vendor_table
from router_worker.ways import CHAT_SURFACES, ways_of


def rows(text: str) -> dict[str, VendorRow]:
    return read_vendor_rows(tomllib.loads(text))


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidVendors) as raised:
        rows(text)
    return raised.value.problems


OWN_NAMES_OF_KEYS = {
    "azure": "AZURE_OPENAI_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
    "vertex": "VERTEX_ACCESS_TOKEN",
    "vertex-anthropic": "VERTEX_ACCESS_TOKEN",
}


def test_built_in_rows_are_sound() -> None:
    assert {
        "openai",
        "zai",
        "mistral",
        "deepseek",
        "xai",
        "groq",
        "together",
        "fireworks",
        "arcee",
        "openrouter",
        "anthropic",
        "gemini",
        "bedrock",
        "cohere",
        "azure",
        "vertex",
        "vertex-anthropic",
    } == set(BUILT_IN)
    for name, row in BUILT_IN.items():
        assert row.name == name
        assert row.base_url.startswith("https://")
        assert not row.base_url.endswith("/")
        assert row.api_key_env == OWN_NAMES_OF_KEYS.get(name, f"{name.upper()}_API_KEY")
    assert all(ways_of(row).keys() >= CHAT_SURFACES.keys() for row in BUILT_IN.values())
    assert {row.wire for row in BUILT_IN.values()} <= set(get_args(Wire))


def test_a_self_hosted_vendor() -> None:
    table = vendor_table(rows('[vendors.my-vllm]\nbase_url = "http://10.0.0.1:8000/v1/"\nwire = "openai"'))
    assert table["my-vllm"] == VendorRow(name="my-vllm", base_url="http://10.0.0.1:8000/v1", api_key_env=None)
    assert table["openai"] == BUILT_IN["openai"]


def test_what_is_not_given_for_a_built_in_vendor_stays() -> None:
    row = rows('[vendors.xai]\nbase_url = "http://localhost:1"')["xai"]
    assert row.base_url == "http://localhost:1"
    assert (row.api_key_env, row.quirks) == (BUILT_IN["xai"].api_key_env, BUILT_IN["xai"].quirks)


def test_quirks_from_a_file() -> None:
    row = rows(
        '[vendors.a]\nbase_url = "http://a"\nkey_header = "api-key"\nkey_prefix = ""\n'
        '[vendors.a.quirks]\ncap_field = "max_completion_tokens"\ndropped = ["user"]\n'
        'kind_of_status = { 403 = "vendor_refused_request" }'
    )["a"]
    assert row.quirks.cap_field == "max_completion_tokens"
    assert row.quirks.dropped == {"user"}
    assert list(row.quirks.kind_of_status) == [403]
    assert row.key_header == "api-key"
    assert row.quirks != Quirks()


def test_base_urls_by_name() -> None:
    assert vendor_table(None, {"groq": "http://127.0.0.1:9/groq/"})["groq"].base_url == "http://127.0.0.1:9/groq"
    with pytest.raises(InvalidVendors) as raised:
        vendor_table(None, {"nobody": "http://a", "groq": "nonsense"})
    assert [problem.split(":")[0] for problem in raised.value.problems] == ["vendors.nobody", "vendors.groq.base_url"]


def test_all_problems_at_once_each_with_vendor_and_field() -> None:
    found = problems(
        "[other]\n[vendors.a]\n[vendors.Bad]\nbase_url = 5\n"
        '[vendors.c]\nbase_url = "ftp://x"\nwire = "smoke"\napi_key = "k"\nquirks = { caps = 1 }\n'
        '[vendors.d]\nbase_url = "https://user:pw@host"\n[vendors.e]\nbase_url = "http://a:99999"'
    )
    places = sorted(problem.split(": ")[0] for problem in found)
    assert places == sorted(
        [
            "other",
            "vendors.a.base_url",
            "vendors.Bad",
            "vendors.Bad.base_url",
            "vendors.c.base_url",
            "vendors.c.wire",
            "vendors.c.api_key",
            "vendors.c.quirks",
            "vendors.d.base_url",
            "vendors.e.base_url",
        ]
    )


@pytest.mark.parametrize("text", ["vendors = 1", "[vendors]\na = 1"])
def test_tables_must_be_tables(text: str) -> None:
    assert len(problems(text)) == 1
