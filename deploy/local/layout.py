"""Where everything of one stack lies, below its folder (`.local`)."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from deploy.local.options import DEFAULT_DIR


@dataclass(frozen=True)
class Layout:
    """`shown` is the folder as the person named it, for messages; `root` is absolute."""

    shown: Path

    @property
    def root(self) -> Path:
        return self.shown.absolute()

    @property
    def stack_file(self) -> Path:
        return self.root / "stack.json"

    @property
    def processes_file(self) -> Path:
        return self.root / "processes.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def api_key_file(self) -> Path:
        return self.root / "api_key"

    @property
    def management_key_file(self) -> Path:
        return self.root / "management_key"

    @property
    def bootstrap_file(self) -> Path:
        return self.root / "bootstrap.toml"

    @property
    def vendors_file(self) -> Path:
        return self.root / "vendors.toml"

    @property
    def kafka_dir(self) -> Path:
        return self.root / "kafka"

    @property
    def clickhouse_dir(self) -> Path:
        return self.root / "clickhouse"

    @property
    def logs_dir(self) -> Path:
        return self.root / "logs"

    @property
    def run_dir(self) -> Path:
        """Port files: of this run only."""
        return self.root / "run"

    def log_file(self, name: str) -> Path:
        return self.logs_dir / f"{name}.log"

    def make_command(self, verb: str) -> str:
        """As a person types it: `make down`, or `make down STACK_DIR=...` for another folder than the usual one."""
        usual = self.root == Path(DEFAULT_DIR).absolute()
        return f"make {verb}" if usual else f"make {verb} STACK_DIR={shlex.quote(str(self.shown))}"

    def make_dirs(self) -> None:
        """Raises OSError."""
        for folder in (self.root, self.logs_dir, self.run_dir):
            folder.mkdir(parents=True, exist_ok=True)
