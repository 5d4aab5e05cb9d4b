"""Which vendors the simulator plays for the stack, and the rows that lead to it."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from router_worker.vendors.row import Quirks, VendorRow, Wire
from router_worker.vendors.table import BUILT_IN

SIMULATOR_KEY_VARIABLE = "SIMULATOR_KEY"
# What follows the vendor's name in the base URL; a wire that is not here is not played.
_BASE_PATHS: Mapping[Wire, str] = {
    "openai": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "bedrock": "",
    "cohere": "",
}
_SIMULATED_REGION = "us-east-1"
# Vendors that there are only here, each like a built-in one; None: plain OpenAI-compatible.
_LIKE: Mapping[str, str | None] = {
    "sim-a": None,
    "sim-b": None,
    "sim-anthropic": "anthropic",
    "sim-gemini": "gemini",
    "sim-bedrock": "bedrock",
    "sim-cohere": "cohere",
    "sim-mistral": "mistral",
    "sim-responses": "openai",
}
SIMULATED_VENDORS = tuple(_LIKE)


def is_played(row: VendorRow) -> bool:
    """Whether the simulator can stand in for this vendor."""
    return row.wire in _BASE_PATHS


def stand_in_table(row: VendorRow, vendor_url: str) -> str:
    """TOML that leads a built-in vendor to the simulator, and changes nothing else of its row."""
    changed: dict[str, Any] = {"base_url": _base_url(row, vendor_url)}
    if row.region is not None:
        # Else the environment would have to name one.
        changed["region"] = _SIMULATED_REGION
    return toml_table(row.name, changed)


def simulated_table(name: str, vendor_url: str) -> str:
    """TOML of a vendor of `SIMULATED_VENDORS`."""
    like = _LIKE[name]
    model = VendorRow(name=name, base_url="", api_key_env=None) if like is None else BUILT_IN[like]
    row = msgspec.structs.replace(
        model,
        name=name,
        api_key_env=SIMULATOR_KEY_VARIABLE,
        region=None if model.region is None else _SIMULATED_REGION,
    )
    row = msgspec.structs.replace(row, base_url=_base_url(row, vendor_url))
    fields = {key: value for key, value in _builtins(row).items() if value != _PLAIN_ROW.get(key)}
    del fields["name"]
    quirks = {key: value for key, value in _builtins(row.quirks).items() if value != _PLAIN_QUIRKS[key]}
    fields.pop("quirks", None)
    if quirks:
        fields["quirks"] = quirks
    return toml_table(name, fields)


def toml_table(name: str, fields: Mapping[str, Any]) -> str:
    """One `[vendors.NAME]` table."""
    lines = [f"[vendors.{json.dumps(name)}]", *(f"{key} = {_toml(value)}" for key, value in fields.items())]
    return "\n".join(lines) + "\n"


def _base_url(row: VendorRow, vendor_url: str) -> str:
    return f"{vendor_url}/{row.name}{_BASE_PATHS[row.wire]}"


def _builtins(value: Any) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(value, str_keys=True, order="deterministic")
    return fields


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(str(key))} = {_toml(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}"
    # Strings, lists of them, numbers, true and false are the same in JSON.
    return json.dumps(value)


_PLAIN_ROW = _builtins(VendorRow(name="", base_url="", api_key_env=None))
_PLAIN_QUIRKS = _builtins(Quirks())
