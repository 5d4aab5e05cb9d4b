"""Every way in which a request can fail: one closed table.

A new kind does not pass the tests until its whole row is written: status, whether another route may help, whether
the vendor is to be left alone for a while, how loudly it is logged, and what the client may be told.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec


class FailureKind(StrEnum):
    # The caller's own.
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    MISSING_API_KEY = "missing_api_key"
    INVALID_API_KEY = "invalid_api_key"
    API_KEY_BUDGET_EXCEEDED = "api_key_budget_exceeded"
    PROJECT_BUDGET_EXCEEDED = "project_budget_exceeded"
    CUSTOMER_BUDGET_EXCEEDED = "customer_budget_exceeded"
    TAG_BUDGET_EXCEEDED = "tag_budget_exceeded"
    ORGANIZATION_BUDGET_EXCEEDED = "organization_budget_exceeded"
    BUDGET_BUSY = "budget_busy"
    RATE_LIMITED = "rate_limited"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    CUSTOMER_INACTIVE = "customer_inactive"
    MODEL_NOT_FOUND = "model_not_found"
    UNKNOWN_PATH = "unknown_path"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CLIENT_GONE = "client_gone"
    # The gateway's.
    OVERLOADED = "overloaded"
    QUEUE_UNAVAILABLE = "queue_unavailable"
    BUDGET_UNVERIFIED = "budget_unverified"
    DRAINING = "draining"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    WORKER_LOST = "worker_lost"
    INGRESS_LOST = "ingress_lost"
    NO_ROUTE_CONFIGURED = "no_route_configured"
    INTERNAL = "internal"
    # A vendor's.
    VENDOR_REFUSED_REQUEST = "vendor_refused_request"
    VENDOR_REFUSED_KEY = "vendor_refused_key"
    VENDOR_PAYMENT_REQUIRED = "vendor_payment_required"
    VENDOR_MODEL_UNKNOWN = "vendor_model_unknown"
    VENDOR_RATE_LIMITED = "vendor_rate_limited"
    VENDOR_ERROR = "vendor_error"
    VENDOR_UNREACHABLE = "vendor_unreachable"
    VENDOR_CONNECT_TIMEOUT = "vendor_connect_timeout"
    VENDOR_FIRST_BYTE_TIMEOUT = "vendor_first_byte_timeout"
    VENDOR_STALLED = "vendor_stalled"
    VENDOR_BROKE_OFF = "vendor_broke_off"
    VENDOR_GARBLED = "vendor_garbled"


@dataclass(frozen=True, slots=True)
class FailureRule:
    """What one kind of failure means everywhere.

    status: HTTP status for the client. advance: another vendor route may do better. maybe_billed: the vendor may charge
    for the attempt, so without its figures an estimate is booked. cooldown_s: how long the route is best left alone.
    text: what the client is told; a Failure may say it more exactly, but only in words that the gateway or an
    allow-listed field of the vendor's error chose.
    """

    status: int
    advance: bool
    maybe_billed: bool
    cooldown_s: float
    log_level: Literal["debug", "info", "warning", "error"]
    text: str


def _caller(status: int, text: str) -> FailureRule:
    return FailureRule(status, advance=False, maybe_billed=False, cooldown_s=0, log_level="debug", text=text)


def _gateway(status: int, text: str, *, log_level: Literal["info", "warning", "error"] = "warning") -> FailureRule:
    return FailureRule(status, advance=False, maybe_billed=False, cooldown_s=0, log_level=log_level, text=text)


def _vendor(
    status: int, text: str, *, cooldown_s: float, maybe_billed: bool = False, advance: bool = True
) -> FailureRule:
    return FailureRule(status, advance, maybe_billed, cooldown_s, log_level="warning", text=text)


_K = FailureKind

FAILURES: dict[FailureKind, FailureRule] = {
    _K.INVALID_JSON: _caller(400, "The request body is not valid JSON."),
    _K.INVALID_REQUEST: _caller(400, "The request is not valid."),
    _K.BODY_TOO_LARGE: _caller(413, "The request body is too large."),
    _K.BODY_TIMEOUT: _caller(408, "The request body did not arrive in time."),
    _K.MISSING_API_KEY: _caller(401, "No API key was given. Send it as 'Authorization: Bearer <key>'."),
    _K.INVALID_API_KEY: _caller(401, "The API key is not valid."),
    _K.API_KEY_BUDGET_EXCEEDED: _caller(402, "The budget of this API key is spent."),
    _K.PROJECT_BUDGET_EXCEEDED: _caller(402, "The budget of this project is spent."),
    _K.CUSTOMER_BUDGET_EXCEEDED: _caller(402, "The budget of this customer is spent."),
    _K.TAG_BUDGET_EXCEEDED: _caller(402, "The budget of this tag is spent."),
    _K.ORGANIZATION_BUDGET_EXCEEDED: _caller(402, "The budget of this organization is spent."),
    # Not 402: nothing is wrong with the budget, and the same request may fit a moment later.
    _K.BUDGET_BUSY: _caller(429, "What is left of the budget is held by requests in flight. Try again shortly."),
    _K.RATE_LIMITED: _caller(429, "The rate limit is reached. Try again later."),
    _K.MODEL_NOT_ALLOWED: _caller(403, "This API key may not use this model."),
    _K.CUSTOMER_INACTIVE: _caller(403, "This customer is not active."),
    _K.MODEL_NOT_FOUND: _caller(404, "The model does not exist here. GET /v1/models lists those that do."),
    _K.UNKNOWN_PATH: _caller(404, "There is nothing at this path."),
    _K.METHOD_NOT_ALLOWED: _caller(405, "This path does not take this method."),
    _K.CLIENT_GONE: _caller(499, "The client went away."),
    _K.OVERLOADED: _gateway(503, "The gateway is overloaded. Try again shortly."),
    _K.QUEUE_UNAVAILABLE: _gateway(503, "The gateway's queue is unavailable. Try again shortly."),
    _K.BUDGET_UNVERIFIED: _gateway(503, "What is left of a budget cannot be verified at present. Try again shortly."),
    _K.DRAINING: _gateway(503, "This replica is shutting down. Try again.", log_level="info"),
    _K.DEADLINE_EXCEEDED: _gateway(504, "The request did not finish within its deadline."),
    _K.WORKER_LOST: _gateway(502, "The worker that served this request was lost."),
    _K.INGRESS_LOST: _gateway(502, "The replica that held the client's connection was lost."),
    _K.NO_ROUTE_CONFIGURED: _gateway(503, "No vendor with a key configured here serves this model.", log_level="error"),
    _K.INTERNAL: _gateway(500, "The gateway made a mistake. It has been logged.", log_level="error"),
    # A caller's mistake stays the caller's at every vendor: asking the next one would only waste a call.
    _K.VENDOR_REFUSED_REQUEST: _vendor(400, "The vendor refused the request.", cooldown_s=0, advance=False),
    _K.VENDOR_REFUSED_KEY: _vendor(502, "The vendor refused the gateway's key.", cooldown_s=60),
    _K.VENDOR_PAYMENT_REQUIRED: _vendor(502, "The gateway's account at the vendor is out of credit.", cooldown_s=60),
    _K.VENDOR_MODEL_UNKNOWN: _vendor(502, "The vendor does not know this model.", cooldown_s=60),
    _K.VENDOR_RATE_LIMITED: _vendor(429, "The vendor's rate limit is reached. Try again later.", cooldown_s=5),
    _K.VENDOR_ERROR: _vendor(502, "The vendor failed.", cooldown_s=5),
    _K.VENDOR_UNREACHABLE: _vendor(502, "The vendor could not be reached.", cooldown_s=10),
    _K.VENDOR_CONNECT_TIMEOUT: _vendor(504, "The vendor did not accept a connection in time.", cooldown_s=10),
    _K.VENDOR_FIRST_BYTE_TIMEOUT: _vendor(504, "The vendor did not answer in time.", cooldown_s=5, maybe_billed=True),
    _K.VENDOR_STALLED: _vendor(504, "The vendor stopped in the middle of its answer.", cooldown_s=5, maybe_billed=True),
    _K.VENDOR_BROKE_OFF: _vendor(502, "The vendor broke off its answer.", cooldown_s=5, maybe_billed=True),
    _K.VENDOR_GARBLED: _vendor(502, "The vendor's answer could not be read.", cooldown_s=5, maybe_billed=True),
}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One failure as it travels in an ERROR frame and is shown to the client.

    message: replaces the rule's text. param: the field of the request at fault. code: a finer name, in the client API's
    terms. status: replaces the rule's status, for a vendor's own 4xx. retry_after_s: when it is worth trying again.
    """

    kind: FailureKind
    message: str | None = None
    param: str | None = None
    code: str | None = None
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def rule(self) -> FailureRule:
        return FAILURES[self.kind]

    @property
    def http_status(self) -> int:
        return self.status if self.status is not None else self.rule.status

    @property
    def text(self) -> str:
        return self.message if self.message is not None else self.rule.text


MAX_MESSAGE_CHARACTERS = 1000
MAX_PARAM_CHARACTERS = 200


def clipped(failure: Failure) -> Failure:
    """For the client: a field's name, and what is said of it, may repeat a megabyte of what the client itself sent."""
    message, param = failure.message or "", failure.param or ""
    if len(message) <= MAX_MESSAGE_CHARACTERS and len(param) <= MAX_PARAM_CHARACTERS:
        return failure
    return msgspec.structs.replace(
        failure,
        message=failure.message and f"{message[:MAX_MESSAGE_CHARACTERS]}…",
        param=failure.param and param[:MAX_PARAM_CHARACTERS],
    )
