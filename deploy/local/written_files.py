"""What `up` writes for the services: the first keys, the bootstrap file that knows them, the vendors file."""

import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from admin_api.bootstrap_file import InvalidBootstrap, load_bootstrap
from deploy.local.child import StartFailed
from deploy.local.layout import Layout
from deploy.local.simulated_rows import (
    SIMULATED_VENDORS,
    SIMULATOR_KEY_VARIABLE,
    is_played,
    simulated_table,
    stand_in_table,
    toml_table,
)
from router_worker.vendors.row import Auth, VendorRow
from router_worker.vendors.table import BUILT_IN
from schemas.tenancy import API_KEY_PREFIX, MANAGEMENT_KEY_PREFIX, ApiKey, ManagementKey, hash_api_key

SIMULATED_KEY = "simulated"
REAL_MODEL_VENDOR = "local"
_KEY_RANDOM_BYTES = 20
# What a vendor takes in place of its one key; see VendorRow.auth.
_OTHER_CREDENTIALS: Mapping[Auth, tuple[str, ...]] = {
    "aws": ("AWS_ACCESS_KEY_ID",),
    "google": ("GOOGLE_APPLICATION_CREDENTIALS",),
}

_BOOTSTRAP = """\
# The first project and keys of this stack. What is listed here and was never there is made at every start; what is
# there already is left alone: change it with 'tollhouse keys', 'tollhouse budgets' and so on (docs/cli.md).
# The keys' secrets are in the files api_key and management_key beside this one.

[[organizations]]
organization_id = "local"

[[projects]]
project_id = "default"
organization_id = "local"

[[api_keys]]
api_key_id = "local"
project_id = "default"
key_sha256 = "{key_sha256}"

[[management_keys]]
management_key_id = "local"
key_sha256 = "{management_key_sha256}"
"""


@dataclass(frozen=True)
class VendorPlan:
    """Built-in vendors called for real, and simulated; the vendors file; keys that stand in for real ones."""

    real: tuple[str, ...]
    simulated: tuple[str, ...]
    text: str
    stand_in_keys: Mapping[str, str]


class Secrets(NamedTuple):
    """Of the stack's own keys."""

    api_key: str
    management_key: str


def first_secrets(layout: Layout) -> Secrets:
    """Made at the first `up`. Raises OSError."""
    return Secrets(
        _secret(layout.api_key_file, API_KEY_PREFIX), _secret(layout.management_key_file, MANAGEMENT_KEY_PREFIX)
    )


def _secret(file: Path, prefix: str) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        secret = prefix + secrets.token_hex(_KEY_RANDOM_BYTES)
        write_whole(file, secret + "\n", mode=0o600)
        return secret


def write_bootstrap(layout: Layout, keys: Secrets) -> None:
    """Only if there is none: it may have been edited. Raises OSError."""
    if not layout.bootstrap_file.exists():
        text = _BOOTSTRAP.format(
            key_sha256=hash_api_key(keys.api_key), management_key_sha256=hash_api_key(keys.management_key)
        )
        write_whole(layout.bootstrap_file, text)


def known_secrets(bootstrap_file: Path, keys: Secrets) -> tuple[str | None, str | None]:
    """The API key and the management key, each if the file makes it. Raises StartFailed with all that is wrong with the
    file."""
    try:
        hashes = {
            entity.key_sha256
            for entity in load_bootstrap(str(bootstrap_file)).entities
            if isinstance(entity, ApiKey | ManagementKey)
        }
    except InvalidBootstrap as error:
        raise StartFailed("\n".join(error.problems)) from error
    api_key, management_key = (secret if hash_api_key(secret) in hashes else None for secret in keys)
    return api_key, management_key


def plan_vendors(vendor_url: str, real_model_url: str | None, environ: Mapping[str, str]) -> VendorPlan:
    """A built-in vendor whose key is here stays as it is; every other one is played by the simulator.

    The rows of the caller's own TOLLHOUSE_VENDORS_FILE win, and their keys are the caller's business.
    Raises StartFailed when that file cannot be read.
    """
    own_text, own_names = _own_vendors(environ.get("TOLLHOUSE_VENDORS_FILE"))
    keys_dir = environ.get("TOLLHOUSE_VENDORS_KEYS_DIR")
    real: list[str] = []
    simulated: list[str] = []
    stand_in_keys = {SIMULATOR_KEY_VARIABLE: SIMULATED_KEY}
    tables = ["# Written anew at every start of the stack: which vendors the simulator plays, and where it listens.\n"]
    for name, row in BUILT_IN.items():
        variable = row.api_key_env
        if variable is None or _has_credentials(row, variable, environ, keys_dir):
            real.append(name)
        elif name not in own_names and is_played(row):
            stand_in_keys[variable] = SIMULATED_KEY
            tables.append(stand_in_table(row, vendor_url))
            simulated.append(name)
    tables += [simulated_table(name, vendor_url) for name in SIMULATED_VENDORS if name not in own_names]
    if real_model_url is not None and REAL_MODEL_VENDOR not in own_names:
        tables.append(toml_table(REAL_MODEL_VENDOR, {"base_url": f"{real_model_url}/v1"}))
    return VendorPlan(tuple(real), tuple(simulated), "\n".join([*tables, own_text]), stand_in_keys)


def _has_credentials(row: VendorRow, variable: str, environ: Mapping[str, str], keys_dir: str | None) -> bool:
    others = _OTHER_CREDENTIALS.get(row.auth, ())
    return any(environ.get(name) or (keys_dir and (Path(keys_dir) / name).is_file()) for name in (variable, *others))


def _own_vendors(path: str | None) -> tuple[str, frozenset[str]]:
    if not path:
        return "", frozenset()
    try:
        text = Path(path).read_text(encoding="utf-8")
        vendors = tomllib.loads(text).get("vendors", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartFailed(f"TOLLHOUSE_VENDORS_FILE: {path}: {error}") from error
    return text, frozenset(vendors if isinstance(vendors, dict) else ())


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """By one rename, so that nobody reads half of it. Raises OSError."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
