"""The vendors that a request may be sent to: the gateway's own accounts, and those of its organization or project."""

import dataclasses
from collections.abc import Callable, Mapping

import structlog

from router_worker.credentials import Credentials
from router_worker.usable_vendor import UsableVendor
from runtime.clock import Clock
from schemas.envelope import Attribution
from schemas.tenancy import VendorCredential

log = structlog.get_logger(__name__)

# A mounted file may be replaced at any time; reading it for every request would cost a trip to the disk each time.
SECRET_HOLDS_S = 5.0


class ProjectVendors:
    """`shared`: vendors with a key of the gateway's. `reachable`: all that a key could be used at, without one.
    `find_secret`: the value of a name, or None."""

    def __init__(
        self,
        shared: Mapping[str, UsableVendor],
        reachable: Mapping[str, UsableVendor],
        credentials: Credentials,
        find_secret: Callable[[str], str | None],
        clock: Clock,
    ) -> None:
        self._shared = shared
        self._reachable = reachable
        self._credentials = credentials
        self._find_secret = find_secret
        self._clock = clock
        self._secrets: dict[str, tuple[float, str | None]] = {}
        self._missed: set[str] = set()

    @property
    def any(self) -> bool:
        """Whether there is anybody who could be served."""
        return bool(self._shared) or len(self._credentials) > 0

    def of(self, attribution: Attribution) -> Mapping[str, UsableVendor]:
        """By name. Where the organization or project has a key of its own, that one is used or none: falling back to
        the gateway's would spend somebody else's money."""
        own = self._credentials.find(attribution.organization_id, attribution.project_id)
        if not own:
            return self._shared
        vendors = dict(self._shared)
        for name, credential in own.items():
            vendor, secret = self._reachable.get(name), self._secret(credential.secret_name)
            if vendor is None or secret is None:
                vendors.pop(name, None)
                self._tell(credential, "secret" if vendor is not None else "vendor")
            else:
                self._missed.discard(credential.credential_id)
                vendors[name] = dataclasses.replace(vendor, api_key=secret, is_own=True)
        return vendors

    def _secret(self, name: str) -> str | None:
        now_s = self._clock.monotonic_s()
        known = self._secrets.get(name)
        if known is None or now_s - known[0] >= SECRET_HOLDS_S:
            known = self._secrets[name] = (now_s, self._find_secret(name))
        return known[1]

    def _tell(self, credential: VendorCredential, missing: str) -> None:
        """Once, until it is found: not with every request."""
        if credential.credential_id in self._missed:
            return
        self._missed.add(credential.credential_id)
        log.error(
            "a vendor credential cannot be used here",
            credential_id=credential.credential_id,
            vendor=credential.vendor,
            missing=missing,
        )
