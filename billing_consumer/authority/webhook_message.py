"""An alert as a signed webhook message. Pure.

The signature is that of the Standard Webhooks specification (standardwebhooks.com): HMAC-SHA256 over
"id.timestamp.body", in base64, after "v1,"; the secret is "whsec_" and the base64 of 24 to 64 random bytes. So
receivers verify it with a library of their language, and need nothing of ours.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from schemas.budgets import Budget
from schemas.money import format_usd
from schemas.spend import AlertDue, LedgerState

SECRET_PREFIX = "whsec_"
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64


class UnusableSecret(Exception):
    """It is not there, or it is not in the form of the specification. The text never quotes it."""


class WebhookMessage(NamedTuple):
    """`message_id` is the same at every try, so that a receiver knows what it has had already."""

    message_id: str
    body: bytes


def budget_alert(ledger: LedgerState, budget: Budget, alert: AlertDue) -> WebhookMessage:
    """The message about one threshold of one ledger, byte for byte the same at every try.

    The id is a hash, because a budget's id may have a full stop in it, which the signed text uses as its separator.
    """
    message_id = "msg_" + hashlib.sha256(alert.alert_id.encode()).hexdigest()[:32]
    body = {
        "id": message_id,
        "type": "budget.threshold",
        "created_at": _rfc3339(alert.crossed_at_ms),
        "data": {
            "alert_id": alert.alert_id,
            "organization_id": budget.organization_id,
            "budget_id": budget.budget_id,
            "scope": ledger.scope,
            "enforcement": ledger.enforcement,
            "period": budget.period,
            "period_start": ledger.period_start,
            "period_end": ledger.period_end,
            "threshold_percent": alert.percent,
            "spent_usd": format_usd(alert.spent_pico_usd),
            "limit_usd": format_usd(alert.limit_pico_usd),
        },
    }
    return WebhookMessage(message_id, msgspec.json.encode(body))


def signed_headers(message: WebhookMessage, secret: str, now_ms: int) -> dict[str, str]:
    """The headers of one try. Raises UnusableSecret."""
    timestamp = str(now_ms // 1000)
    signed = b".".join((message.message_id.encode(), timestamp.encode(), message.body))
    signature = base64.b64encode(hmac.digest(signing_key(secret), signed, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "Webhook-Id": message.message_id,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{signature}",
    }


def signing_key(secret: str) -> bytes:
    """Raises UnusableSecret."""
    if not secret.startswith(SECRET_PREFIX):
        raise UnusableSecret(f"it does not begin with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        # `from None`: the error would quote what it could not read.
        raise UnusableSecret(f"what follows {SECRET_PREFIX} is not base64") from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise UnusableSecret(f"it has {len(key)} bytes, not {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES}")
    return key


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
