"""The bootstrap file: what it may say, and that all that is wrong with it is said at once."""

from pathlib import Path

import pytest

from ingress.tenants_file import InvalidTenants, load_tenants
from schemas.money import PICO_PER_USD
from schemas.tenancy import hash_api_key

GOOD = f"""
[[projects]]
project_id = "default"
organization_id = "acme"
budget_usd = "100.50"

[[projects]]
project_id = "free"
organization_id = "acme"

[[api_keys]]
api_key_id = "backend"
project_id = "default"
key_sha256 = "{hash_api_key("secret")}"
budget_usd = "0"
"""


def problems_of(tmp_path: Path, content: str | bytes) -> list[str]:
    file = tmp_path / "tenants.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidTenants) as invalid:
        load_tenants(str(file))
    assert all(line.startswith(f"{file}: ") for line in invalid.value.problems)
    return [line.removeprefix(f"{file}: ") for line in invalid.value.problems]


def test_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "tenants.toml"
    file.write_text(GOOD, encoding="utf-8")
    tenants = load_tenants(str(file))
    assert len(tenants) == 1
    found = tenants.find(hash_api_key("secret"))
    assert found is not None
    key, project = found
    assert (key.api_key_id, key.budget_pico_usd) == ("backend", 0)
    assert (project.organization_id, project.budget_pico_usd) == ("acme", 100 * PICO_PER_USD + PICO_PER_USD // 2)
    assert tenants.find(hash_api_key("other")) is None


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        """
        [nonsense]
        [[projects]]
        project_id = "a"
        [[projects]]
        project_id = "b"
        organization_id = "o"
        budget_usd = 1.5
        [[projects]]
        project_id = "b"
        organization_id = "o"
        budget_usd = "-1"
        [[projects]]
        project_id = "b"
        organization_id = "o"
        budget_usd = "lots"
        [[projects]]
        project_id = "b"
        organization_id = "o"
        buget_usd = "1"
        [[api_keys]]
        api_key_id = 7
        """,
    )
    expected = ["nonsense", "organization_id", "string", "negative", "lots", "buget_usd", "api_key_id|int"]
    assert len(problems) == len(expected)
    for problem, words in zip(problems, expected, strict=True):
        assert any(word in problem for word in words.split("|")), (problem, words)
    assert all(f"projects number {number}" in problems[number] for number in range(1, 6))


def test_keys_of_unknown_projects_and_names_given_twice(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path, GOOD + GOOD + '[[api_keys]]\napi_key_id="x"\nproject_id="no"\nkey_sha256="' + "0" * 64 + '"\n'
    )
    for words in ("'x'", "'no'", "project_id 'default'", "project_id 'free'", "api_key_id 'backend'", "key_sha256"):
        assert any(words in problem for problem in problems), words
    assert len(problems) == 5


@pytest.mark.parametrize(
    "content",
    [
        b"not toml",
        b"\xff",
        '[projects]\nproject_id = "one table instead of many"\n',
        "projects = 1",
        'projects = ["default"]',
        "projects = [1]",
        "api_keys = true",
    ],
)
def test_a_file_of_another_shape(tmp_path: Path, content: str | bytes) -> None:
    assert len(problems_of(tmp_path, content)) == 1


def test_no_file() -> None:
    with pytest.raises(InvalidTenants, match=r"nowhere\.toml: No such file"):
        load_tenants("nowhere.toml")
