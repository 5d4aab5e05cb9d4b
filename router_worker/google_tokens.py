"""Access tokens of a Google service account, for Vertex AI. An edge: the token endpoint is asked over HTTP.

A token holds for an hour. It is replaced well before that, so that a call never waits for one, and an endpoint that
fails for minutes is not noticed by any call. Format: RFC 7523 (JWT bearer grants), Google's "Using OAuth 2.0 for server
to server applications".
"""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec
import structlog
from google.auth import crypt, jwt

from runtime.clock import Clock
from runtime.lifecycle import Deadline, Supervisor, finish

log = structlog.get_logger(__name__)

CREDENTIALS_ENV = "GOOGLE_APPLICATION_CREDENTIALS"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_LIVES_S = 3600
# Google lets a token live for an hour; an account may be set to less.
_RENEW_AT_SHARE = 0.75
_RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_REQUEST_TIMEOUT_S = 10.0
_SENDABLE = re.compile(r"[\x21-\x7e]+")  # anything else could not stand in a header: every call would fail


class InvalidServiceAccount(Exception):
    """The file is not what Google gives out for a service account. Says why, without what is in it."""

    @property
    def problems(self) -> list[str]:
        return [str(self)]


class TokenUnavailable(Exception):
    """The token endpoint refused, failed, or answered in another form."""


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """`private_key` in PEM: never log it."""

    client_email: str
    private_key: str
    private_key_id: str
    token_uri: str = "https://oauth2.googleapis.com/token"
    type: str = "service_account"


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float


def read_service_account(path: str) -> ServiceAccount:
    """Raises InvalidServiceAccount."""
    try:
        account = msgspec.json.decode(Path(path).read_bytes(), type=ServiceAccount)
    except OSError as error:
        raise InvalidServiceAccount(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidServiceAccount(f"{path}: {error}") from error
    if account.type != "service_account":
        raise InvalidServiceAccount(f"{path}: only service accounts are supported, not the type '{account.type}'")
    return account


class GoogleTokens:
    """A component of the worker. `start` waits for the first token, but does not insist on it: a worker that cannot
    reach Google still serves all other vendors, and goes on asking."""

    def __init__(self, account: ServiceAccount, clock: Clock, supervisor: Supervisor) -> None:
        """Raises InvalidServiceAccount if its key is none."""
        self._account = account
        self._clock = clock
        self._supervisor = supervisor
        try:
            self._signer = crypt.RSASigner.from_string(account.private_key, account.private_key_id)
        except (ValueError, TypeError) as error:
            raise InvalidServiceAccount(f"the private key of {account.client_email} cannot be read") from error
        self._session: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._failures = 0
        self._token = ""
        self._renew_at_s = 0.0
        self._expires_at_s = 0.0

    def token(self) -> str:
        """The token of the moment. Without one (empty), or with an expired one, the vendor refuses the call, and
        another route is tried."""
        return self._token

    @property
    def expires_in_s(self) -> float:
        return self._expires_at_s - self._clock.monotonic_s()

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S))
        await self._try_to_renew()
        self._task = self._supervisor.spawn(self._keep_fresh(), "google tokens")

    async def stop(self, deadline: Deadline) -> None:
        self._stopping.set()
        await finish(self._task, deadline.left_s())
        if self._session is not None:
            await self._session.close()

    async def _keep_fresh(self) -> None:
        while not await self._stops_within(max(0.0, self._renew_at_s - self._clock.monotonic_s())):
            await self._try_to_renew()

    async def _try_to_renew(self) -> None:
        try:
            await self._renew()
            self._failures = 0
        except TokenUnavailable as error:
            wait_s = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
            self._failures += 1
            self._renew_at_s = self._clock.monotonic_s() + wait_s
            left_s = round(max(0.0, self.expires_in_s)) if self._token else 0
            # Without a token no call can succeed; with one there is time.
            level = log.warning if left_s else log.error
            level("google token not renewed", reason=str(error), expires_in_s=left_s)

    async def _stops_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _renew(self) -> None:
        """Raises TokenUnavailable."""
        asked_at_s = self._clock.monotonic_s()
        form = {"grant_type": _GRANT_TYPE, "assertion": self.assertion(self._clock.now_ms() // 1000)}
        assert self._session is not None
        try:
            async with self._session.post(self._account.token_uri, data=form, allow_redirects=False) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TokenUnavailable(f"the token endpoint cannot be reached ({type(error).__name__})") from error
        if response.status != 200:
            raise TokenUnavailable(f"the token endpoint answered {response.status} ({_error_name(body)})")
        try:
            token = msgspec.json.decode(body, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise TokenUnavailable("the token endpoint's answer cannot be read") from None
        if not _SENDABLE.fullmatch(token.access_token) or token.expires_in <= 0:
            raise TokenUnavailable("the token endpoint gave no token")
        self._token = token.access_token
        self._renew_at_s = asked_at_s + token.expires_in * _RENEW_AT_SHARE
        self._expires_at_s = asked_at_s + token.expires_in

    def assertion(self, now_s: int) -> str:
        """The signed claim for which the endpoint gives a token. `now_s`: unix time."""
        claims = {
            "iss": self._account.client_email,
            "scope": SCOPE,
            "aud": self._account.token_uri,
            "iat": now_s,
            "exp": now_s + _ASSERTION_LIVES_S,
        }
        return bytes(jwt.encode(self._signer, claims)).decode()


def credentials_path(environ: Mapping[str, str]) -> str | None:
    return environ.get(CREDENTIALS_ENV, "").strip() or None


def _error_name(body: bytes) -> str:
    """OAuth's name of the error ("invalid_grant"); its description may tell more than belongs into a log."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "no JSON"
    name = value.get("error") if isinstance(value, dict) else None
    return name[:100] if isinstance(name, str) else "no name"
