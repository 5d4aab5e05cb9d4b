"""Where a call to Gemini goes, and with which headers: the Gemini API and Vertex differ in nothing else."""

from urllib.parse import quote

from router_worker.vendors.openai.chat import ATTEMPT_ID_HEADER
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorCall


def generate_path(row: VendorRow, call: VendorCall) -> str:
    method = "streamGenerateContent?alt=sse" if call.streaming else "generateContent"
    return f"{model_path(row, call)}:{method}"


def model_path(row: VendorRow, call: VendorCall) -> str:
    publisher = "/publishers/google" if row.wire == "gemini_vertex" else ""
    return f"{publisher}/models/{quote(call.vendor_model.removeprefix('models/'), safe='')}"


def headers(row: VendorRow, call: VendorCall) -> dict[str, str]:
    """With the key: never log them."""
    found = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if call.streaming else "application/json",
    }
    if call.api_key is not None:
        found[row.key_header] = row.key_prefix + call.api_key
    if call.attempt_id is not None:
        found[ATTEMPT_ID_HEADER] = call.attempt_id
    return found
