"""Where everything of one stack lies, below its folder (`.local`)."""

from dataclasses import dataclass
from pathlib import Path


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
    def tenants_file(self) -> Path:
        return self.root / "tenants.toml"

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

    def make_dirs(self) -> None:
        """Raises OSError."""
        for folder in (self.root, self.logs_dir, self.run_dir):
            folder.mkdir(parents=True, exist_ok=True)
