"""What is the same for every API of an OpenAI-compatible vendor: headers, errors and the id of a call."""

from collections.abc import Mapping

from router_worker.vendors.openai.errors import classify_status
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall
from schemas.failures import Failure

ATTEMPT_ID_HEADER = "X-Tollhouse-Attempt-Id"


class OpenAiRow:
    def __init__(self, row: VendorRow) -> None:
        self._row = row

    def headers(self, call: VendorCall) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if call.streaming else "application/json",
        }
        if call.api_key is not None:
            headers[self._row.key_header] = self._row.key_prefix + call.api_key
        if call.attempt_id is not None:
            headers[ATTEMPT_ID_HEADER] = call.attempt_id
        return headers

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Failure:
        return classify_status(status, headers, body, now_ms, self._row.quirks.kind_of_status)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-request-id") or headers.get("mistral-correlation-id")
