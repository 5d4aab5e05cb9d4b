"""What the handlers of the configuration work with."""

from collections.abc import Callable
from dataclasses import dataclass

from admin_api.changer import Changer
from admin_api.config_state import ConfigState
from admin_api.drafts import Author
from admin_api.operation import Call
from admin_api.resources.resource import Showing
from schemas.ids import RandomBytes
from schemas.spend import LedgerState


@dataclass(frozen=True, slots=True)
class Configuration:
    """`ledger`: a budget's account, as its authority last wrote it. `plain_http_webhooks`: also to other machines."""

    changer: Changer
    ledger: Callable[[str], LedgerState | None]
    random_bytes: RandomBytes
    plain_http_webhooks: bool

    @property
    def state(self) -> ConfigState:
        return self.changer.state


def configuration_of(call: Call) -> Configuration:
    configuration = call.config
    assert isinstance(configuration, Configuration)
    return configuration


def author_of(call: Call) -> Author:
    return Author(call.caller.actor, call.now_ms, configuration_of(call).random_bytes)


def showing_of(call: Call, secret: str | None = None) -> Showing:
    return Showing(call.now_ms, configuration_of(call).ledger, secret)
