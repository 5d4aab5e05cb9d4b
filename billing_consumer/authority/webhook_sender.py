"""The edge to the receivers of webhooks: one signed POST, and whether it was taken."""

from collections.abc import Mapping
from pathlib import Path

import aiohttp

from billing_consumer.authority.webhook_message import UnusableSecret, WebhookMessage, signed_headers
from runtime.clock import Clock
from runtime.lifecycle import Deadline
from schemas.tenancy import Webhook


class NotTaken(Exception):
    """This try failed. The text is for the log: no URL, which may carry credentials, and no secret (G7)."""


class WebhookSecrets:
    """A mounted file wins over the environment: it is the one that can be rotated."""

    def __init__(self, secrets_dir: str | None, environ: Mapping[str, str]) -> None:
        self._secrets_dir = secrets_dir
        self._environ = environ

    def find(self, name: str) -> str:
        """Raises UnusableSecret if there is none."""
        found = self._from_file(name) or self._environ.get(name, "").strip()
        if not found:
            raise UnusableSecret(f"there is no secret of the name {name}")
        return found

    def _from_file(self, name: str) -> str | None:
        if self._secrets_dir is None:
            return None
        try:
            return (Path(self._secrets_dir) / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None


class WebhookSender:
    def __init__(self, secrets: WebhookSecrets, timeout_s: float, clock: Clock) -> None:
        self._secrets = secrets
        self._timeout_s = timeout_s
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_s), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def stop(self, deadline: Deadline) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, webhook: Webhook, message: WebhookMessage) -> None:
        """Returns when the receiver has answered 2xx. Raises NotTaken."""
        assert self._session is not None, "send before start"
        try:
            # Looked up for every try, so that a secret that was missing or has been rotated is found without a restart.
            headers = signed_headers(message, self._secrets.find(webhook.secret_name), self._clock.now_ms())
        except UnusableSecret as error:
            raise NotTaken(f"the secret {webhook.secret_name} cannot be used: {error}") from None
        try:
            # A redirect would carry the alert to a place that nobody has configured.
            async with self._session.post(
                webhook.url, data=message.body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Only the type: aiohttp's texts may quote the URL. ValueError: it is one that no request can be made of.
            raise NotTaken(type(error).__name__) from None
        if not 200 <= status < 300:
            raise NotTaken(f"status {status}")
