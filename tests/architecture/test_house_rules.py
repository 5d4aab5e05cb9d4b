"""Rules of the house that a linter does not hold. Each failure says why the rule is there."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, Module, modules

MAX_LINES = 400
SAYING_NOTHING = {"common", "helper", "helpers", "misc", "shared", "util", "utils"}

# A task outside a supervisor swallows its failure. The one-machine stack has its own processes and its own rules.
MAY_START_TASKS = ("runtime/lifecycle.py", "deploy/local/")
# One place for a process, one for an HTTP request; the third is the HTTP edge of the stand-in for ClickHouse.
MAY_CATCH_ALL = (
    "runtime/lifecycle.py",
    "ingress/http_api.py",
    "admin_api/http_api.py",
    "deploy/local/clickhouse/server.py",
)

# In pieces, because the rule holds for this file too.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("docker", "io"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.~$})-])/(?:" + "|".join(("work", "root", "home", "Users", "tmp")) + r")/[\w.]")
REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+(?:\[[a-z0-9,._-]+\])?==\S+(?: ;[^\\]*)?(?: --hash=sha256:[0-9a-f]{64})+")


def tracked() -> list[Path]:
    """What git tracks or would: a new file is held to the rules before it is added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def complain(wrong: list[str], reason: str) -> None:
    assert not wrong, "\n  ".join([reason, *sorted(wrong)])


def where_not(allowed: tuple[str, ...]) -> Iterator[Module]:
    for module in modules():
        if not any(module.path == each or (each.endswith("/") and module.path.startswith(each)) for each in allowed):
            yield module


def find(nodes: Callable[[ast.AST], bool], allowed: tuple[str, ...]) -> list[str]:
    return [
        f"{module.path}:{getattr(node, 'lineno', 0)}"
        for module in where_not(allowed)
        for node in ast.walk(module.tree)
        if nodes(node)
    ]


def test_no_file_is_longer_than_a_person_keeps_in_mind() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    wrong = [f"{path.relative_to(ROOT)}: {length} lines" for path, length in lengths.items() if length > MAX_LINES]
    complain(wrong, f"More than {MAX_LINES} lines have more than one purpose; split the file by purpose:")


def test_every_file_is_named_for_its_purpose() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if SAYING_NOTHING & {path.stem, *path.relative_to(ROOT).parts[:-1]}
    ]
    complain(wrong, "Such a name says nothing, so anything ends up there; name the file for what it does:")


def test_tasks_are_started_by_the_supervisor_alone() -> None:
    def starts_a_task(node: ast.AST) -> bool:
        names = ("create_task", "ensure_future", "TaskGroup")
        return (isinstance(node, ast.Attribute) and node.attr in names) or (
            isinstance(node, ast.Name) and node.id in names
        )

    wrong = find(starts_a_task, MAY_START_TASKS)
    complain(wrong, "A bare task swallows its failure and is not drained; use runtime.lifecycle.Supervisor.spawn:")


def test_nothing_catches_everything() -> None:
    def catches_everything(node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler):
            return False
        last = node.body[-1]
        if isinstance(last, ast.Raise) and last.exc is None:
            return False  # tidies up and passes it on
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        return any(
            each is None or (isinstance(each, ast.Name) and each.id in ("Exception", "BaseException"))
            for each in caught
        )

    wrong = find(catches_everything, MAY_CATCH_ALL)
    complain(wrong, "It hides mistakes of ours as if they were the world's; name what can happen here:")


def test_money_is_never_a_float() -> None:
    def is_float(annotation: ast.AST | None) -> bool:
        return annotation is not None and any(
            isinstance(node, ast.Name) and node.id == "float" for node in ast.walk(annotation)
        )

    def is_money(name: str) -> bool:
        return name.endswith(("_usd", "_usd_per_million"))

    def float_money(node: ast.AST) -> bool:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name)):
                return is_money(name) and is_float(node.annotation)
            case ast.arg(arg=name):
                return is_money(name) and is_float(node.annotation)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                return is_money(name) and is_float(node.returns)
            case ast.Call(func=ast.Name(id="float"), args=[ast.Name(id=name) | ast.Attribute(attr=name)]):
                return is_money(name)
            case ast.BinOp(left=left, right=right):
                sides = [side.id if isinstance(side, ast.Name) else getattr(side, "attr", "") for side in (left, right)]
                floats = [isinstance(side, ast.Constant) and isinstance(side.value, float) for side in (left, right)]
                divides = isinstance(node.op, ast.Div)
                return any(map(is_money, sides)) and (divides or any(floats))
            case _:
                return False

    complain(find(float_money, ()), "A float rounds before anybody can count; money is integer pico-USD or Decimal:")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (
            re.compile("|".join(re.escape(host) for host in REGISTRY_HOSTS)),
            "Registries are configured where the program is built; an address here would bypass a mirror:",
        ),
        (MACHINE_PATH, "It is true on one machine only; take the path from a setting or from the file's own place:"),
    ],
    ids=["registry hosts", "machine paths"],
)
def test_tracked_files_name_no_machine(pattern: re.Pattern[str], reason: str) -> None:
    wrong: list[str] = []
    for path in tracked():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        wrong += [
            f"{path.relative_to(ROOT)}:{number}: {found[0]}"
            for number, line in enumerate(lines, 1)
            if (found := pattern.search(line))
        ]
    complain(wrong, reason)


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda path: path.name)
def test_lock_files_pin_every_requirement_by_hash_and_name_no_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text, "A lock file with an address works only where that address is reachable"
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    wrong = [line.split(" ")[0] for line in lines if not REQUIREMENT.fullmatch(line)]
    complain(wrong, "Without version and hash, what is installed is not what was tested:")
    assert lines


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[<>=\[]", line)[0].strip().lower() for line in project["dependencies"]}
    locked = {line.split("==")[0].lower() for line in (ROOT / "requirements/run.lock").read_text().splitlines()}
    complain(sorted(wanted - locked), "Not in requirements/run.lock, so the image would be built without it:")
