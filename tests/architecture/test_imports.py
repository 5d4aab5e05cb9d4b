"""Every module can be imported by itself, and importing does nothing."""

import json
import subprocess
import sys

from tests.architecture.source import ROOT, modules


def test_every_module_imports_alone_and_importing_it_does_nothing() -> None:
    """An import that needs another one first, or that acts, makes the order of imports part of the program."""
    names = [module.name for module in modules()]
    command = [sys.executable, "-m", "tests.architecture.import_alone", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    wrong: dict[str, list[str]] = json.loads(done.stdout)
    report = [f"{name}: {what}" for name, found in wrong.items() for what in found]
    assert not wrong, "\n  ".join(["No I/O, no thread and no open file at import; imports need no order:", *report])
