"""A receiver of alert webhooks that is not easy to satisfy: it takes each message only when it comes again."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Alert(NamedTuple):
    """As it came. `taken`: it was answered with 204, not with 503."""

    headers: Mapping[str, str]
    body: bytes
    taken: bool

    @property
    def message_id(self) -> str:
        return self.headers["Webhook-Id"]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found

    def is_signed_with(self, secret: str) -> bool:
        """By the Standard Webhooks specification, and with none of the gateway's code."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.message_id}.{self.headers['Webhook-Timestamp']}.".encode() + self.body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in self.headers["Webhook-Signature"].split(" ")


class AlertReceiver:
    """`url`: where it listens. `alerts`: all that has come, in order."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204 if receiver._take(dict(self.headers), body) else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"

    def __enter__(self) -> "AlertReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def sent(self, budget_id: str) -> set[int]:
        """The thresholds of which there was a message."""
        return {alert.data["threshold_percent"] for alert in self.of(budget_id)}

    def taken(self, budget_id: str) -> dict[int, str]:
        """By threshold, the id of the message."""
        return {a.data["threshold_percent"]: a.message_id for a in self.of(budget_id) if a.taken}

    def of(self, budget_id: str) -> list[Alert]:
        return [alert for alert in self.alerts if alert.data["budget_id"] == budget_id]

    def _take(self, headers: Mapping[str, str], body: bytes) -> bool:
        with self._lock:
            taken = any(alert.message_id == headers["Webhook-Id"] for alert in self.alerts)
            self.alerts.append(Alert(headers, body, taken))
            return taken
