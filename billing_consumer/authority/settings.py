"""What can be set on the budgets' authority. Names in the environment: runtime.settings."""

from msgspec import Struct

from runtime.shared_settings import Positive


class AuthoritySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`secrets_dir`: a folder of mounted secrets, one file for each name; a name that is not there is looked up in the
    environment. `webhook_timeout_s`: for a receiver of alerts to answer; then the alert is sent again later."""

    secrets_dir: str | None = None
    webhook_timeout_s: Positive = 15.0
