"""Alerts as a receiver sees them, who verifies with a library that is not ours."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from openai import InvalidWebhookSignatureError, OpenAI
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from billing_consumer.authority.alerts import GIVE_UP_AFTER_MS, AlertCourier
from billing_consumer.authority.budget_view import BudgetView
from billing_consumer.authority.webhook_message import UnusableSecret, budget_alert, signed_headers, signing_key
from billing_consumer.authority.webhook_sender import NotTaken, WebhookSecrets, WebhookSender
from runtime.clock import SystemClock
from runtime.lifecycle import Deadline, Supervisor
from runtime.metrics import Metrics
from schemas.spend import AlertDue
from schemas.tenancy import Webhook
from tests.billing_consumer.authority.samples import a_budget, a_change, a_state, a_webhook, an_alert, ledger_of
from tests.runtime.waiting import until

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BUDGET = a_budget("bud.1")


def verified(body: bytes, headers: Mapping[str, str], secret: str = SECRET) -> bool:
    """By OpenAI's SDK, which has an implementation of Standard Webhooks of its own."""
    try:
        OpenAI(api_key="none").webhooks.verify_signature(body, dict(headers), secret=secret)
    except InvalidWebhookSignatureError:
        return False
    return True


@dataclass
class Receiver:
    """Answers with the statuses that it is told, in turn, then with 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    taken: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    elsewhere: int = 0

    async def hook(self, request: web.Request) -> web.Response:
        self.taken.append((await request.read(), dict(request.headers)))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": f"{self.url}/elsewhere"})

    async def other(self, _request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.hook)
    app.router.add_route("*", "/elsewhere", receiver.other)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def environ() -> dict[str, str]:
    return {"HOOK_SECRET": SECRET + "\n"}


@pytest.fixture
async def sender(environ: dict[str, str]) -> AsyncIterator[WebhookSender]:
    sender = WebhookSender(WebhookSecrets(None, environ), 5.0, SystemClock())
    await sender.start()
    yield sender
    await sender.stop(Deadline(SystemClock(), 1))


class Office:
    """Stands in for the partition's authority: it gives alerts and asks what became of them."""

    def __init__(self, sender: WebhookSender, webhooks: list[Webhook]) -> None:
        self.view = BudgetView()
        self.view.apply(a_change("budget", BUDGET))
        for webhook in webhooks:
            self.view.apply(a_change("webhook", webhook))
        self.metrics = Metrics(CollectorRegistry())
        self.courier = AlertCourier(
            self.view, sender, SystemClock(), Supervisor(), self.metrics, lambda: 1.0, backoff_s=0.01
        )
        self.done: list[tuple[str, str]] = []

    def take(self, alert: AlertDue) -> None:
        self.courier.take(3, a_state(BUDGET, alerts_due=(alert,)))

    def is_done(self) -> bool:
        self.done += self.courier.fetch_done(3)
        return bool(self.done)

    def count(self, result: str) -> float:
        return float(self.metrics.counter("tollhouse_billing_alerts_total").labels(result=result)._value.get())


def fresh_alert() -> AlertDue:
    return an_alert(BUDGET, crossed_at_ms=SystemClock().now_ms())


async def test_an_alert_arrives_signed_and_says_what_was_crossed(receiver: Receiver, sender: WebhookSender) -> None:
    office, alert = Office(sender, [a_webhook("wh_1", f"{receiver.url}/hook")]), fresh_alert()
    office.take(alert)
    office.take(alert)
    await until(office.is_done, "the alert's delivery")
    assert office.done == [(ledger_of(BUDGET), alert.alert_id)]
    ((body, headers),) = receiver.taken
    assert verified(body, headers)
    assert not verified(body.replace(b"50", b"51"), headers), "the oracle sees a changed body"
    said = json.loads(body)
    assert (said["id"], said["type"]) == (headers["Webhook-Id"], "budget.threshold")
    assert "." not in said["id"]
    assert (
        said["data"]
        | {
            "budget_id": "bud.1",
            "scope": "project:prj_1",
            "threshold_percent": 50,
            "spent_usd": "50.000000000001",
            "limit_usd": "100",
            "period": "total",
        }
        == said["data"]
    )
    assert office.count("delivered") == 1


async def test_a_receiver_that_fails_gets_the_same_message_again(receiver: Receiver, sender: WebhookSender) -> None:
    receiver.answers = [500, 429, 302]
    office = Office(sender, [a_webhook("wh_1", f"{receiver.url}/hook")])
    office.take(fresh_alert())
    await until(office.is_done, "the alert's delivery")
    assert len(receiver.taken) == 4
    assert len({(body, headers["Webhook-Id"]) for body, headers in receiver.taken}) == 1
    assert all(verified(body, headers) for body, headers in receiver.taken)
    assert receiver.elsewhere == 0, "a redirect is not followed"
    assert office.count("not_taken") == 3


async def test_each_webhook_takes_it_once_although_another_fails(receiver: Receiver, sender: WebhookSender) -> None:
    good = a_webhook("wh_good", f"{receiver.url}/hook")
    office = Office(sender, [good, a_webhook("wh_gone", "http://127.0.0.1:9/hook")])
    office.take(fresh_alert())
    await until(lambda: office.count("not_taken") >= 3, "tries at the one that is gone")
    assert len(receiver.taken) == 1
    assert not office.is_done()
    office.view.apply(a_change("webhook", None, entity_id="wh_gone", version=2, action="deleted"))
    await until(office.is_done, "the end, once the webhook is deleted")
    assert len(receiver.taken) == 1


async def test_a_secret_that_is_missing_or_wrong_is_named_not_quoted_and_found_when_it_comes(
    receiver: Receiver, sender: WebhookSender, environ: dict[str, str]
) -> None:
    environ["HOOK_SECRET"] = "not-a-secret-of-the-form"
    url = receiver.url.replace("http://", "http://user:pass-word@") + "/hook"
    office = Office(sender, [a_webhook("wh_1", url, "OTHER_NAME"), a_webhook("wh_2", url)])
    with capture_logs() as logs:
        office.take(fresh_alert())
        await until(lambda: office.count("not_taken") >= 4, "two tries each")
        assert receiver.taken == []
        receiver.answers = [500]
        environ |= {"OTHER_NAME": SECRET, "HOOK_SECRET": SECRET}
        await until(office.is_done, "the delivery, once the secrets are there")
    assert len(receiver.taken) == 3
    said = repr(logs)
    assert "status 500" in said
    assert "OTHER_NAME" in said
    assert "whsec_" in said, "it says which form is expected"
    for secret in (SECRET.removeprefix("whsec_"), "not-a-secret", "pass-word"):
        assert secret not in said


async def test_no_webhook_or_no_budget_is_the_end_of_it(sender: WebhookSender) -> None:
    office = Office(sender, [])
    office.take(fresh_alert())
    await until(office.is_done, "nobody to tell")
    assert office.count("no_webhook") == 1
    office = Office(sender, [])
    office.view.apply(a_change("budget", None, entity_id="bud.1", version=2, action="deleted"))
    office.take(fresh_alert())
    await until(office.is_done, "nothing to tell of")


async def test_after_a_day_it_is_given_up(sender: WebhookSender) -> None:
    office = Office(sender, [a_webhook("wh_1", "http://127.0.0.1:9/hook")])
    office.take(an_alert(BUDGET, crossed_at_ms=SystemClock().now_ms() - GIVE_UP_AFTER_MS - 1))
    await until(office.is_done, "the end")
    assert office.count("given_up") == 1


async def test_a_partition_that_is_lost_takes_its_deliveries_along(receiver: Receiver, sender: WebhookSender) -> None:
    receiver.answers = [500] * 1000
    office = Office(sender, [a_webhook("wh_1", f"{receiver.url}/hook")])
    alert = fresh_alert()
    office.take(alert)
    await until(lambda: office.count("not_taken") >= 1, "a try")
    office.courier.forget(3)
    tries = len(receiver.taken)
    await asyncio.sleep(0.1)
    assert len(receiver.taken) <= tries + 1
    receiver.answers = []
    office.take(alert)
    await until(office.is_done, "delivery after the partition has come back")


async def test_an_alert_that_is_over_is_forgotten(sender: WebhookSender) -> None:
    office = Office(sender, [])
    alert = fresh_alert()
    office.take(alert)
    await until(office.is_done, "nobody to tell")
    office.take(alert)  # a state from before its authority heard that it is over
    office.courier.take(3, a_state(BUDGET))
    assert not office.courier._under_way[3]
    assert office.count("no_webhook") == 1


async def test_a_receiver_that_does_not_answer_is_left(receiver: Receiver) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    sender = WebhookSender(WebhookSecrets(None, {"HOOK_SECRET": SECRET}), 0.2, SystemClock())
    await sender.start()
    port = server.sockets[0].getsockname()[1]
    message = budget_alert(a_state(BUDGET), BUDGET, fresh_alert())
    with pytest.raises(NotTaken, match="Timeout"):
        async with asyncio.timeout(10):
            await sender.send(a_webhook("wh_1", f"http://127.0.0.1:{port}/"), message)
    await sender.stop(Deadline(SystemClock(), 1))
    server.close()
    await server.wait_closed()


def test_a_mounted_secret_wins_over_the_environment(tmp_path: Path) -> None:
    secrets = WebhookSecrets(str(tmp_path), {"A": "from the environment", "EMPTY": " \n"})
    assert secrets.find("A") == "from the environment"
    (tmp_path / "A").write_text("from the file\n")
    assert secrets.find("A") == "from the file"
    for name in ("EMPTY", "B"):
        with pytest.raises(UnusableSecret, match=name):
            secrets.find(name)


@pytest.mark.parametrize("length", [24, 64])
def test_secrets_of_every_allowed_length_are_used_as_the_oracle_uses_them(length: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(length))).decode()
    message = budget_alert(a_state(BUDGET), BUDGET, fresh_alert())
    headers = signed_headers(message, secret, SystemClock().now_ms())
    assert verified(message.body, headers, secret)
    assert not verified(message.body, headers)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_" + "A" * 10, "whsec_!!!" + "A" * 40, base64.b64encode(KEY).decode()]
    + ["whsec_" + base64.b64encode(bytes(length)).decode() for length in (23, 65)],
)
def test_a_secret_of_another_form_is_refused(secret: str) -> None:
    with pytest.raises(UnusableSecret) as refused:
        signing_key(secret)
    assert len(secret) < 10 or secret.removeprefix("whsec_") not in str(refused.value)
