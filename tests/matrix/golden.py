"""Golden files: what was found last time, to compare with, or to write anew with TOLLHOUSE_WRITE_GOLDEN=1."""

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent / "golden"
WRITE = os.environ.get("TOLLHOUSE_WRITE_GOLDEN") == "1"


def compare(path: str, found: Any) -> None:
    """`found` is JSON. Writing is no way around the other checks: they are made before."""
    file = ROOT / path
    if WRITE:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert file.is_file(), f"{path} is missing: write it with TOLLHOUSE_WRITE_GOLDEN=1, and read what it says"
    assert json.loads(file.read_text(encoding="utf-8")) == found


def files() -> set[str]:
    return {str(file.relative_to(ROOT)) for file in ROOT.rglob("*.json")}
