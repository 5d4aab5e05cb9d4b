"""Which vendors this worker can call: the table of rows, the operator's file, and the keys. Read once, at the start."""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from router_worker.settings import VendorSettings
from router_worker.usable_vendor import UsableVendor
from router_worker.vendors.row import VendorRow
from router_worker.vendors.table import InvalidVendors, read_vendor_rows, vendor_table
from router_worker.vendors.vendor import AwsCredentials
from router_worker.ways import ways_of
from schemas.catalogue import Catalogue

_PLACE = re.compile(r"\{([A-Z_]+)\}")


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


def usable_vendors(
    settings: VendorSettings, environ: Mapping[str, str], google_token: Callable[[], str] | None = None
) -> dict[str, UsableVendor]:
    """The vendors whose key is here, or that need none. `google_token`: the access token of the moment, where there is
    a service account. Raises InvalidVendors."""
    secrets = Secrets(settings.keys_dir, environ)
    found = {name: _usable(row, secrets, google_token) for name, row in vendor_rows(settings).items()}
    return {name: vendor for name, vendor in found.items() if vendor is not None}


def reachable_vendors(settings: VendorSettings, environ: Mapping[str, str]) -> dict[str, UsableVendor]:
    """Every vendor that is somewhere, without any key: for those who bring their own. Raises InvalidVendors."""
    secrets = Secrets(settings.keys_dir, environ)
    placed = {name: _placed(row, secrets) for name, row in vendor_rows(settings).items()}
    return {
        name: UsableVendor(ways=ways_of(row), base_url=row.base_url) for name, row in placed.items() if row is not None
    }


class Secrets:
    """A mounted file wins over the environment: it is the one that can be rotated."""

    def __init__(self, keys_dir: str | None, environ: Mapping[str, str]) -> None:
        self._keys_dir = keys_dir
        self._environ = environ

    def find(self, name: str) -> str | None:
        if self._keys_dir is not None:
            file = Path(self._keys_dir) / name
            if file.is_file():
                return file.read_text(encoding="utf-8").strip() or None
        # With a line end, as secrets are easily pasted, it could not be sent as a header: every call would fail.
        return self._environ.get(name, "").strip() or None


def _usable(row: VendorRow, secrets: Secrets, google_token: Callable[[], str] | None) -> UsableVendor | None:
    placed = _placed(row, secrets)
    if placed is None:
        return None
    ways = ways_of(placed)
    api_key = None if row.api_key_env is None else secrets.find(row.api_key_env)
    if api_key is not None or (row.api_key_env is None and row.auth == "key"):
        return UsableVendor(ways=ways, base_url=placed.base_url, api_key=api_key)
    if row.auth == "google" and google_token is not None:
        return UsableVendor(ways=ways, base_url=placed.base_url, live_key=google_token)
    if row.auth == "aws":
        access_key_id, secret = secrets.find("AWS_ACCESS_KEY_ID"), secrets.find("AWS_SECRET_ACCESS_KEY")
        if access_key_id is not None and secret is not None:
            aws = AwsCredentials(
                access_key_id=access_key_id,
                secret_access_key=secret,
                session_token=secrets.find("AWS_SESSION_TOKEN"),
            )
            return UsableVendor(ways=ways, base_url=placed.base_url, aws=aws)
    return None


def _placed(row: VendorRow, secrets: Secrets) -> VendorRow | None:
    """The row with `{NAME}` in its URL and region filled in; None if one is not given: the vendor is nowhere then."""
    values = {name: secrets.find(name) for name in _PLACE.findall(row.base_url + (row.region or ""))}
    if None in values.values():
        return None

    def fill(text: str) -> str:
        # Vertex AI's location "global", the only one that some models are in, has no prefix in its host's name.
        return _PLACE.sub(lambda found: values[found[1]] or "", text).replace("//global-aiplatform.", "//aiplatform.")

    return msgspec.structs.replace(
        row, base_url=fill(row.base_url), region=None if row.region is None else fill(row.region)
    )


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
