"""A vendor that can be called: the ways to it from each client API, where it is, and with which credentials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from router_worker.vendors.vendor import AwsCredentials, Vendor
from schemas.envelope import Surface


class Way(NamedTuple):
    """`translated`: it goes by the canonical request."""

    vendor: Vendor
    translated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableVendor:
    """`api_key` None: none is needed, or there is `live_key`, which gives the access token of the moment, or `aws`.
    `is_own`: the account there is a project's or an organization's own, not the gateway's."""

    ways: Mapping[Surface, Way]
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    live_key: Callable[[], str] | None = None
    aws: AwsCredentials | None = None
    is_own: bool = False

    def key(self) -> str | None:
        return self.live_key() if self.live_key is not None else self.api_key
