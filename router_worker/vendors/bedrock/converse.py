"""Amazon Bedrock: Converse and ConverseStream. Implements `wire.Wire`.

Requests are signed (SigV4) where the call has AWS credentials; with an API key, a Bedrock one, it is sent as a bearer
token. Where Converse has no word for a hint, it is left out and named; for what shapes the answer, it is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

import msgspec

from router_worker.canonical.answer import Answer, collect
from router_worker.canonical.request import ChatRequest
from router_worker.vendors.bedrock.answer import MALFORMED, EventWriter, WholeAnswer, read_tokens
from router_worker.vendors.bedrock.aws_event_stream import CONTENT_TYPE
from router_worker.vendors.bedrock.aws_sigv4 import SigV4Signer
from router_worker.vendors.bedrock.errors import classify_aws_status
from router_worker.vendors.bedrock.models import traits_of
from router_worker.vendors.bedrock.notes import CannotSay
from router_worker.vendors.bedrock.request import converse_body
from router_worker.vendors.bedrock.stream import BedrockStream
from router_worker.vendors.bedrock.tools import json_way
from router_worker.vendors.json_fields import without_half_pairs
from router_worker.vendors.openai.chat import ATTEMPT_ID_HEADER
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall, VendorRequest
from schemas.failures import Failure, FailureKind

_SERVICE = "bedrock"
_DEFAULT_REGION = "us-east-1"
_REGION_IN_HOST = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GARBLED = Failure(kind=FailureKind.VENDOR_GARBLED)
_ANSWER = msgspec.json.Decoder(WholeAnswer)


class BedrockConverse:
    """A row without a region is signed for the one in its host's name."""

    def __init__(self, row: VendorRow) -> None:
        found = _REGION_IN_HOST.search(row.base_url)
        region = row.region or (found[1] if found is not None else _DEFAULT_REGION)
        url = urlsplit(row.base_url.replace("{region}", region))
        host = url.hostname or ""
        host = f"[{host}]" if ":" in host else host
        default_port = url.port is None or url.port == _DEFAULT_PORTS.get(url.scheme)
        self._host = host if default_port else f"{host}:{url.port}"
        self._base_path = url.path
        # Its only state is the day's signing key, which follows from the call.
        self._signer = SigV4Signer(region=region, service=_SERVICE)

    def build(self, request: ChatRequest, call: VendorCall) -> VendorRequest | Failure:
        try:
            body, dropped = converse_body(request, call, traits_of(call.vendor_model, call.model_id))
        except CannotSay as refusal:
            return refusal.failure
        operation = "converse-stream" if call.streaming else "converse"
        path = f"/model/{quote(call.vendor_model, safe='')}/{operation}"
        headers = {
            "Content-Type": "application/json",
            "Accept": CONTENT_TYPE if call.streaming else "application/json",
        }
        if call.attempt_id is not None:
            headers[ATTEMPT_ID_HEADER] = call.attempt_id
        if call.aws is not None:
            headers = self._signer.sign(
                call.aws,
                method="POST",
                host=self._host,
                path=self._base_path + path,
                query="",
                headers=headers,
                body=body,
                now_ms=call.now_ms,
            )
        elif call.api_key is not None:
            headers["Authorization"] = f"Bearer {call.api_key}"
        return VendorRequest(path, headers, body, dropped)

    def read_answer(self, call: VendorCall, status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
        try:
            try:
                whole = _ANSWER.decode(body)
            except msgspec.DecodeError:
                whole = _ANSWER.decode(without_half_pairs(body))
            if whole.stop_reason in MALFORMED:
                return _GARBLED
            events = EventWriter(by_tool=_by_tool(call)).whole(whole)
            return replace(collect(events, read_tokens(whole.usage)), vendor_request_id=self.request_id(headers))
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _GARBLED

    def open_events(self, call: VendorCall) -> BedrockStream:
        return BedrockStream(by_tool=_by_tool(call))

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        return classify_aws_status(status, headers, body, now_ms)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-amzn-requestid")


def _by_tool(call: VendorCall) -> bool:
    if not isinstance(call.canonical, ChatRequest):
        return False
    try:
        return json_way(call.canonical, traits_of(call.vendor_model, call.model_id)) == "tool"
    except CannotSay:
        return False
