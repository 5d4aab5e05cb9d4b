"""Which vendors this worker can call: the table of rows, the operator's file, and the keys. Read once, at the start."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from router_worker.serve import UsableVendor
from router_worker.settings import VendorSettings
from router_worker.vendors.row import VendorRow
from router_worker.vendors.table import InvalidVendors, read_vendor_rows, vendor_table
from router_worker.vendors.wires import make_vendor
from schemas.catalogue import Catalogue


def vendor_rows(settings: VendorSettings) -> dict[str, VendorRow]:
    """Every vendor that is known here, with the operator's file over the built-in table. Raises InvalidVendors."""
    return vendor_table(_given_rows(settings.file))


def unknown_vendors(catalogue: Catalogue, rows: Mapping[str, VendorRow]) -> list[str]:
    """A line for each route that names a vendor which there is not: it could never be called, however it looks."""
    return [
        f"catalogue: {model.model_id}: routes[{number}]: there is no vendor '{route.vendor}'"
        for model in catalogue.models
        for number, route in enumerate(model.routes)
        if route.vendor not in rows
    ]


def usable_vendors(settings: VendorSettings, environ: Mapping[str, str]) -> dict[str, UsableVendor]:
    """The vendors whose key is here, or that need none. Raises InvalidVendors."""
    usable: dict[str, UsableVendor] = {}
    for name, row in vendor_rows(settings).items():
        api_key = _api_key(row, settings.keys_dir, environ)
        if api_key or row.api_key_env is None:
            usable[name] = UsableVendor(vendor=make_vendor(row), base_url=row.base_url, api_key=api_key)
    return usable


def _given_rows(path: str | None) -> dict[str, VendorRow]:
    if path is None:
        return {}
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidVendors([f"{path}: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidVendors([f"{path}: {error}"]) from error
    try:
        return read_vendor_rows(document)
    except InvalidVendors as error:
        raise InvalidVendors([f"{path}: {problem}" for problem in error.problems]) from error


def _api_key(row: VendorRow, keys_dir: str | None, environ: Mapping[str, str]) -> str | None:
    """A mounted file wins over the environment: it is the one that can be rotated."""
    if row.api_key_env is None:
        return None
    if keys_dir is not None:
        file = Path(keys_dir) / row.api_key_env
        if file.is_file():
            return file.read_text(encoding="utf-8").strip()
    # With a line end, as secrets are easily pasted, it could not be sent as a header: every call would fail.
    return environ.get(row.api_key_env, "").strip() or None
