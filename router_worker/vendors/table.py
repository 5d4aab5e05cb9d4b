"""The vendors. One that differs from another only by data is a row here, or in the operator's file.

An operator's file adds vendors (self-hosted ones, say) and changes what differs in a built-in row:

    [vendors.my-vllm]
    base_url = "http://vllm.internal:8000/v1"
    api_key_env = "MY_VLLM_KEY"     # left out: the vendor takes no key
    wire = "openai"

    [vendors.openai]
    base_url = "https://eu.api.openai.com/v1"
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from router_worker.vendors.row import Quirks, VendorRow
from schemas.failures import FailureKind

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

_VERTEX = (
    "https://{GOOGLE_CLOUD_LOCATION}-aiplatform.googleapis.com/v1"
    "/projects/{GOOGLE_CLOUD_PROJECT}/locations/{GOOGLE_CLOUD_LOCATION}"
)

# Another tier has another price than the catalogue's.
_ONE_GEMINI_TIER = Quirks(dropped=frozenset({"serviceTier", "service_tier"}))

# A row's own list of what it refuses is kept to fields that do not shape the answer: a field that does is better
# refused by the vendor, in words that reach the client, than silently ignored.
_ROWS = (
    VendorRow(
        name="openai",
        base_url="https://api.openai.com/v1",
        api_key_env="OPENAI_API_KEY",
        # Its reasoning models refuse max_tokens; all take max_completion_tokens. Another service tier has another price
        # than the catalogue's, so it would be billed wrongly.
        quirks=Quirks(cap_field="max_completion_tokens", dropped=frozenset({"service_tier"}), responses=True),
    ),
    VendorRow(
        name="zai",
        base_url="https://api.z.ai/api/paas/v4",
        api_key_env="ZAI_API_KEY",
        quirks=Quirks(reasoning="thinking", thoughts="reasoning_content"),
    ),
    VendorRow(
        name="mistral",
        base_url="https://api.mistral.ai/v1",
        api_key_env="MISTRAL_API_KEY",
        # It answers 422 to fields that it does not know, stream_options.include_usage and max_completion_tokens among
        # them; usage comes in the last chunk unasked.
        quirks=Quirks(
            stream_usage="always",
            renamed={"seed": "random_seed"},
            dropped=frozenset({"metadata", "safety_identifier", "service_tier", "store", "user"}),
            tool_choice_required="any",
            short_tool_call_ids=True,
            fim_path="/fim/completions",
            embeddings_renamed={"dimensions": "output_dimension"},
            thoughts="thinking_parts",
            documents="document_url",
            top_k=True,
            prefix_field="prefix",
            # Error 3230, "Unexpected role 'user' after role 'tool'", otherwise.
            after_tool_results="OK.",
        ),
    ),
    VendorRow(
        name="deepseek",
        base_url="https://api.deepseek.com",
        api_key_env="DEEPSEEK_API_KEY",
        # In a turn with tool calls it answers 400 if its reasoning does not come back.
        quirks=Quirks(reasoning="thinking_and_effort", thoughts="reasoning_content"),
    ),
    VendorRow(
        name="xai",
        base_url="https://api.x.ai/v1",
        api_key_env="XAI_API_KEY",
        # completion_tokens is the visible text only; total_tokens = prompt + completion + reasoning.
        quirks=Quirks(cap_field="max_completion_tokens", reasoning_apart=True, dropped=frozenset({"service_tier"})),
    ),
    VendorRow(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        api_key_env="GROQ_API_KEY",
        quirks=Quirks(cap_field="max_completion_tokens", dropped=frozenset({"service_tier"})),
    ),
    VendorRow(
        name="together",
        base_url="https://api.together.xyz/v1",
        api_key_env="TOGETHER_API_KEY",
        quirks=Quirks(top_k=True),
    ),
    VendorRow(
        name="fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        api_key_env="FIREWORKS_API_KEY",
        quirks=Quirks(dropped=frozenset({"service_tier"}), top_k=True),
    ),
    VendorRow(name="arcee", base_url="https://api.arcee.ai/api/v1", api_key_env="ARCEE_API_KEY"),
    VendorRow(
        name="openrouter",
        base_url="https://openrouter.ai/api/v1",
        api_key_env="OPENROUTER_API_KEY",
        # 403 is its moderation speaking of the prompt, not of the key.
        quirks=Quirks(
            dropped=frozenset({"service_tier"}),
            kind_of_status={403: FailureKind.VENDOR_REFUSED_REQUEST},
            reasoning="object",
            thoughts="reasoning",
            top_k=True,
            cache_control=True,
        ),
    ),
    VendorRow(
        name="anthropic",
        base_url="https://api.anthropic.com/v1",
        api_key_env="ANTHROPIC_API_KEY",
        wire="anthropic",
        key_header="x-api-key",
        key_prefix="",
        # Both change the price, and the catalogue has only the ordinary one.
        quirks=Quirks(dropped=frozenset({"service_tier", "speed"})),
    ),
    VendorRow(
        name="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        api_key_env="GEMINI_API_KEY",
        wire="gemini",
        key_header="x-goog-api-key",
        key_prefix="",
        quirks=_ONE_GEMINI_TIER,
    ),
    VendorRow(
        name="bedrock",
        base_url="https://bedrock-runtime.{AWS_REGION}.amazonaws.com",
        api_key_env="AWS_BEARER_TOKEN_BEDROCK",
        wire="bedrock",
        auth="aws",
        region="{AWS_REGION}",
    ),
    VendorRow(name="cohere", base_url="https://api.cohere.com", api_key_env="COHERE_API_KEY", wire="cohere"),
    VendorRow(
        name="azure",
        base_url="https://{AZURE_OPENAI_RESOURCE}.openai.azure.com/openai/v1",
        api_key_env="AZURE_OPENAI_API_KEY",
        key_header="api-key",
        key_prefix="",
        quirks=Quirks(cap_field="max_completion_tokens", dropped=frozenset({"service_tier"}), responses=True),
    ),
    VendorRow(
        name="vertex",
        base_url=_VERTEX,
        api_key_env="VERTEX_ACCESS_TOKEN",
        wire="gemini_vertex",
        auth="google",
        quirks=_ONE_GEMINI_TIER,
    ),
    VendorRow(
        name="vertex-anthropic",
        base_url=_VERTEX,
        api_key_env="VERTEX_ACCESS_TOKEN",
        wire="anthropic_vertex",
        auth="google",
    ),
)
BUILT_IN: Mapping[str, VendorRow] = {row.name: row for row in _ROWS}


class InvalidVendors(Exception):
    """Everything that is wrong, one line each, naming vendor and field."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def vendor_table(
    given: Mapping[str, VendorRow] | None = None, base_urls: Mapping[str, str] | None = None
) -> dict[str, VendorRow]:
    """The built-in rows with the operator's over them, then base URLs set by name.

    Raises InvalidVendors for a base URL of a vendor that there is not, or that is no URL.
    """
    table = {**BUILT_IN, **(given or {})}
    problems: list[str] = []
    for name, base_url in (base_urls or {}).items():
        if name not in table:
            problems.append(f"vendors.{name}: there is no such vendor")
        elif (problem := _url_problem(base_url)) is not None:
            problems.append(f"vendors.{name}.base_url: {problem}")
        else:
            table[name] = msgspec.structs.replace(table[name], base_url=base_url.rstrip("/"))
    if problems:
        raise InvalidVendors(problems)
    return table


def read_vendor_rows(document: Mapping[str, Any]) -> dict[str, VendorRow]:
    """Rows from a parsed TOML file with a `[vendors]` table; a built-in vendor's row keeps what is not given.

    Raises InvalidVendors with all problems.
    """
    problems: list[str] = []
    rows: dict[str, VendorRow] = {}
    vendors = document.get("vendors", {})
    if not isinstance(vendors, Mapping):
        raise InvalidVendors(["vendors: expected a table of vendors"])
    problems += [f"{name}: there is no such table" for name in document if name != "vendors"]
    for name, fields in vendors.items():
        row = _read_row(name, fields, problems)
        if row is not None:
            rows[name] = row
    if problems:
        raise InvalidVendors(problems)
    return rows


def _read_row(name: str, fields: Any, problems: list[str]) -> VendorRow | None:
    where = f"vendors.{name}"
    before = len(problems)
    if not _NAME.fullmatch(name):
        problems.append(f"{where}: a vendor's name is lower-case letters, digits, '.', '_' and '-'")
    if not isinstance(fields, Mapping):
        problems.append(f"{where}: expected a table")
        return None
    known = {field.encode_name: field for field in msgspec.structs.fields(VendorRow) if field.name != "name"}
    values: dict[str, Any] = {}
    for key, value in fields.items():
        if key not in known:
            problems.append(f"{where}.{key}: there is no such field")
            continue
        try:
            values[key] = msgspec.convert(value, known[key].type, str_keys=True)
        except msgspec.ValidationError as error:
            problems.append(f"{where}.{key}: {error}")
    if "base_url" in values:
        if (problem := _url_problem(values["base_url"])) is not None:
            problems.append(f"{where}.base_url: {problem}")
        values["base_url"] = values["base_url"].rstrip("/")
    elif "base_url" not in fields and name not in BUILT_IN:
        problems.append(f"{where}.base_url: is required")
    if len(problems) > before:
        return None
    if name in BUILT_IN:
        return msgspec.structs.replace(BUILT_IN[name], **values)
    return VendorRow(**({"api_key_env": None} | values), name=name)


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        return "must be an http:// or https:// URL"
    if parts.username or parts.password or parts.query or parts.fragment:
        # A key in a URL would end up in logs.
        return "must have no user, password, query or fragment"
    return None
