"""The program's source as the architecture tests see it: modules, and who imports whom."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("ingress", "router_worker", "billing_consumer", "admin_api", "reconciliation")
PACKAGES = ("tollhouse", *SERVICES, "runtime", "schemas", "deploy", "catalogue_build")


@dataclass(frozen=True)
class Module:
    """`path` is relative to the repository, in the form that people write: ingress/http_api.py."""

    name: str
    path: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.name.split(".", maxsplit=1)[0]

    def imports(self) -> frozenset[str]:
        """Full names of what is imported, wherever in the file; `from a import b` gives a and a.b."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: a relative import hides where it goes; write the whole name"
                assert node.module is not None
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        return frozenset(names)

    def imports_any(self, *packages: str) -> list[str]:
        """Of the imports those that are one of the packages or lie in one."""
        return sorted(
            name for name in self.imports() if any(name == each or name.startswith(f"{each}.") for each in packages)
        )


@cache
def modules() -> tuple[Module, ...]:
    return tuple(_read(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


def _read(path: Path) -> Module:
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, str(relative), ast.parse(path.read_text(encoding="utf-8"), str(relative)))


def modules_in(*packages: str) -> Iterator[Module]:
    for module in modules():
        if any(module.name == package or module.name.startswith(f"{package}.") for package in packages):
            yield module


def reachable(start: Module) -> frozenset[Module]:
    """Every module of ours that importing `start` imports, itself included (and the packages that hold them)."""
    by_name = {module.name: module for module in modules()}
    found: set[Module] = set()
    todo = [start]
    while todo:
        module = todo.pop()
        if module in found:
            continue
        found.add(module)
        todo += [by_name[name] for name in module.imports() if name in by_name]
    return frozenset(found)
