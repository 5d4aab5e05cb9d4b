"""Access tokens from a local token endpoint that checks the claim as Google does."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from router_worker.google_tokens import (
    SCOPE,
    GoogleTokens,
    InvalidServiceAccount,
    ServiceAccount,
    credentials_path,
    read_service_account,
)
from runtime.clock import Clock, SystemClock
from runtime.lifecycle import Deadline, Supervisor
from tests.fakes.clock import HandClock
from tests.fakes.waiting import until

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Endpoint:
    """`answers` are given one after the other, the last one again and again."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.claims: list[dict[str, Any]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        # The audience is checked below; times are the caller's clock's.
        claims = jwt.decode(form["assertion"], certs=PUBLIC, verify=False)
        jwt.decode(form["assertion"], certs={"key-1": PUBLIC}, clock_skew_in_seconds=10**12)
        self.claims.append(dict(claims))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(body, bytes):
            return web.Response(status=status, body=body)
        return web.json_response(body, status=status)


@asynccontextmanager
async def running(endpoint: Endpoint, clock: Clock) -> AsyncIterator[GoogleTokens]:
    """Not started."""
    app = web.Application()
    app.router.add_post("/token", endpoint.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    supervisor = Supervisor()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield GoogleTokens(account(token_uri=endpoint.url), clock, supervisor)
        assert not supervisor.failed.is_set()
    finally:
        await supervisor.cancel_all()
        await runner.cleanup()


def account(**changes: Any) -> ServiceAccount:
    fields = {"client_email": "a@p.example", "private_key": PRIVATE, "private_key_id": "key-1"}
    return ServiceAccount(**(fields | changes))


def token(name: str, expires_in: float = 3600) -> tuple[int, Any]:
    return 200, {"access_token": name, "expires_in": expires_in, "token_type": "Bearer"}


async def test_the_first_token_is_there_after_the_start() -> None:
    endpoint, clock = Endpoint(token("t1")), HandClock()
    async with running(endpoint, clock) as tokens:
        await tokens.start()
        assert tokens.token() == "t1"
        assert tokens.expires_in_s == 3600
        now_s = clock.now_ms() // 1000
        assert endpoint.claims == [
            {"iss": "a@p.example", "scope": SCOPE, "aud": endpoint.url, "iat": now_s, "exp": now_s + 3600}
        ]
        await tokens.stop(Deadline(clock, 1))


async def test_a_token_is_renewed_before_it_expires() -> None:
    endpoint = Endpoint(token("t1", 0.2), token("t2"))
    async with running(endpoint, SystemClock()) as tokens:
        await tokens.start()
        assert tokens.token() == "t1"
        await until(lambda: tokens.token() == "t2")
        assert len(endpoint.claims) == 2
        await tokens.stop(Deadline(SystemClock(), 1))


@pytest.mark.parametrize(
    "bad", [(500, b"<html>"), (400, {"error": "invalid_grant"}), (200, b"{}"), token("", 60), token("a\nb", 60)]
)
async def test_a_failing_endpoint_is_asked_again(bad: tuple[int, Any]) -> None:
    endpoint = Endpoint(token("t1", 0.1), bad, token("t2"))
    async with running(endpoint, SystemClock()) as tokens:
        await tokens.start()
        await until(lambda: len(endpoint.claims) >= 2)
        assert tokens.token() == "t1"
        await until(lambda: tokens.token() == "t2")
        await tokens.stop(Deadline(SystemClock(), 1))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ((400, {"error": "invalid_grant", "error_description": "private words"}), "400 (invalid_grant)"),
        ((503, b""), "503 (no JSON)"),
        ((200, b"nothing"), "cannot be read"),
        ((200, {"access_token": "t"}), "cannot be read"),
    ],
)
async def test_a_worker_without_a_first_token_starts_and_says_why(bad: tuple[int, Any], says: str) -> None:
    endpoint = Endpoint(bad, token("t1"))
    async with running(endpoint, SystemClock()) as tokens:
        with structlog.testing.capture_logs() as logs:
            await tokens.start()
        assert tokens.token() == ""
        (entry,) = logs
        assert entry["log_level"] == "error"
        assert says in entry["reason"]
        assert "private words" not in str(entry)
        await until(lambda: tokens.token() == "t1")
        await tokens.stop(Deadline(SystemClock(), 1))


async def test_an_endpoint_that_is_not_there() -> None:
    endpoint, supervisor = Endpoint(token("t1")), Supervisor()
    async with running(endpoint, HandClock()):
        pass
    tokens = GoogleTokens(account(token_uri=endpoint.url), HandClock(), supervisor)
    await tokens.start()
    assert tokens.token() == ""
    await tokens.stop(Deadline(SystemClock(), 1))
    assert not supervisor.failed.is_set()


@pytest.mark.parametrize(
    "write",
    [
        lambda file: None,
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.write_text("{}"),
        lambda file: file.write_bytes(msgspec.json.encode(account(type="authorized_user"))),
    ],
)
def test_a_file_that_is_no_service_account(write: Callable[[Path], Any], tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    write(file)
    with pytest.raises(InvalidServiceAccount, match=r"account\.json"):
        read_service_account(str(file))


def test_a_file_as_google_gives_it_out(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    extra = {"project_id": "p", "client_id": "1", "universe_domain": "googleapis.com"}
    file.write_bytes(msgspec.json.encode({**msgspec.to_builtins(account()), **extra}))
    assert read_service_account(str(file)) == account()
    assert credentials_path({"GOOGLE_APPLICATION_CREDENTIALS": f"{file}\n"}) == str(file)
    assert credentials_path({}) is None


def test_a_key_that_is_none() -> None:
    with pytest.raises(InvalidServiceAccount) as failed:
        GoogleTokens(account(private_key="secret words"), HandClock(), Supervisor())
    assert "secret words" not in str(failed.value)
