"""Requests to Converse, each also held against botocore's model of the API (`bedrock_samples.built`)."""

from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from router_worker.canonical.request import (
    AssistantMessage,
    Document,
    Image,
    Inline,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Url,
    UserMessage,
)
from router_worker.vendors.bedrock.converse import BedrockConverse
from router_worker.vendors.bedrock.models import traits_of
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import VendorRequest
from schemas.failures import FailureKind
from tests.router_worker.bedrock_samples import (
    COMMAND,
    HAIKU_45,
    HI,
    HOST,
    MISTRAL,
    NOVA_2,
    NOVA_PRO,
    OPUS_41,
    OPUS_46,
    OPUS_47,
    SONNET_45,
    WIRE,
    built,
    call,
    chat,
    refused,
)
from tests.router_worker.test_aws_sigv4 import CREDENTIALS, NOW_MS

ASK = {"role": "user", "content": [{"text": "Hi"}]}
PNG = Inline(media_type="image/png", data="iVBORw0KGgo=")
PDF = Inline(media_type="application/pdf", data="JVBERi0xLjQ=")


def test_plain() -> None:
    assert built(chat()) == ({"messages": [ASK]}, ())


def test_settings() -> None:
    request = chat(
        system=(Text(text="Be brief."), Text(text=" ")),
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("END",),
        dropped=("user",),
        seed=7,
    )
    assert built(request) == (
        {
            "system": [{"text": "Be brief."}],
            "messages": [ASK],
            "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "stopSequences": ["END"]},
            "additionalModelRequestFields": {"top_k": 40},
            "additionalModelResponseFieldPaths": ["/stop_sequence"],
        },
        ("top_p", "seed"),
    )
    body, dropped = built(request, NOVA_PRO)
    assert body["inferenceConfig"] == {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    assert "additionalModelResponseFieldPaths" not in body
    assert dropped == ("seed",)


@pytest.mark.parametrize(("asked", "capped", "sent"), [(100, 50, 50), (50, 100, 50), (None, 9, 9), (9, None, 9)])
def test_the_lower_cap_is_sent(asked: int | None, capped: int | None, sent: int) -> None:
    body, _ = built(chat(max_output_tokens=asked), max_output_tokens=capped)
    assert body["inferenceConfig"] == {"maxTokens": sent}


def test_own_names_of_sampling() -> None:
    request = chat(top_k=5, seed=1, presence_penalty=0.1, frequency_penalty=0.2)
    nova, dropped = built(request, NOVA_PRO)
    assert nova["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert dropped == ("seed", "presence_penalty", "frequency_penalty")
    command, dropped = built(request, COMMAND)
    assert command["additionalModelRequestFields"] == {
        "k": 5,
        "seed": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
    }
    assert dropped == ()
    assert refused(chat(top_k=5), MISTRAL).param == "top_k"
    assert refused(chat(temperature=1.5), NOVA_PRO).param == "temperature"
    assert built(chat(temperature=1.5)) == ({"messages": [ASK]}, ("temperature",))
    assert built(chat(temperature=0.5, top_k=3), OPUS_47) == ({"messages": [ASK]}, ("temperature", "top_k"))
    assert refused(chat(), choices=2).param == "n"


def test_images_and_documents() -> None:
    parts = (
        Text(text="Read"),
        Image(source=PNG, detail="high"),
        Document(source=PDF, name="Q3 report_final.v2.pdf"),
        Document(source=PDF, name="Q3 report final v2 pdf"),
        Document(source=Inline(media_type="text/plain; charset=utf-8", data="aGk="), name="§"),
    )
    body, dropped = built(chat(messages=(UserMessage(parts=parts),)))
    pdf = {"format": "pdf", "source": {"bytes": PDF.data}}
    assert body["messages"][0]["content"] == [
        {"text": "Read"},
        {"image": {"format": "png", "source": {"bytes": PNG.data}}},
        {"document": pdf | {"name": "Q3 report final v2 pdf"}},
        {"document": pdf | {"name": "Q3 report final v2 pdf (2)"}},
        {"document": {"format": "txt", "name": "document", "source": {"bytes": "aGk="}}},
    ]
    assert dropped == ("detail",)


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Image(source=Url(url="https://example.com/a.png")), "image URL"),
        (Document(source=Url(url="https://example.com/a.pdf")), "document URL"),
        (Image(source=Inline(media_type="image/tiff", data="AAAA")), "image"),
        (Document(source=Inline(media_type="application/zip", data="AAAA")), "document"),
    ],
)
def test_what_bedrock_cannot_look_at(part: Image | Document, param: str) -> None:
    failure = refused(chat(messages=(UserMessage(parts=(Text(text="Look"), part)),)))
    assert (failure.kind, failure.param) == (FailureKind.INVALID_REQUEST, param)


def test_a_document_needs_a_text_beside_it() -> None:
    alone = UserMessage(parts=(Document(source=PDF),))
    assert refused(chat(messages=(alone,))).param == "document"
    built(chat(messages=(alone, *HI)))


def test_the_roles_take_turns_and_blank_texts_go() -> None:
    messages = (
        *HI,
        UserMessage(parts=(Text(text=""),)),
        UserMessage(parts=(Text(text="You?"),)),
        AssistantMessage(parts=(Text(text="\n"),)),
        UserMessage(parts=(Text(text="Hello?"),)),
        AssistantMessage(parts=(Text(text="Yes"),)),
    )
    body, _ = built(chat(messages=messages))
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}, {"text": "You?"}, {"text": "Hello?"}]},
        {"role": "assistant", "content": [{"text": "Yes"}]},
    ]
    assert refused(chat(messages=messages[3:4])).param == "messages"
    assert refused(chat(messages=messages[5:])).param == "messages"


@pytest.mark.parametrize(
    ("model", "reasoning", "own", "effort", "max_tokens"),
    [
        (
            SONNET_45,
            Reasoning(budget_tokens=2000),
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            None,
            8000,
        ),
        (SONNET_45, Reasoning(effort="medium"), {"thinking": {"type": "enabled", "budget_tokens": 4000}}, None, 8000),
        (SONNET_45, Reasoning(effort="none"), None, None, None),
        (NOVA_2, Reasoning(effort="high", budget_tokens=0), None, None, None),
        (
            "global.anthropic.claude-opus-4-5-20251101-v1:0",
            Reasoning(effort="low"),
            {"thinking": {"type": "enabled", "budget_tokens": 1600}},
            None,
            8000,
        ),
        (SONNET_45, Reasoning(budget_tokens=0), None, None, None),
        (OPUS_46, Reasoning(budget_tokens=2000), {"thinking": {"type": "adaptive"}}, "low", None),
        (OPUS_46, Reasoning(effort="xhigh"), {"thinking": {"type": "adaptive"}}, "high", None),
        (OPUS_46, Reasoning(effort="max"), {"thinking": {"type": "adaptive"}}, "max", None),
        (OPUS_47, Reasoning(effort="minimal"), {"thinking": {"type": "adaptive"}}, "low", None),
        (
            OPUS_47,
            Reasoning(budget_tokens=9000, visible=True),
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            "medium",
            None,
        ),
        (
            OPUS_47,
            Reasoning(effort="xhigh", visible=False),
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            "xhigh",
            None,
        ),
        (
            NOVA_2,
            Reasoning(effort="max"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            None,
            None,
        ),
        (
            NOVA_2,
            Reasoning(effort="minimal"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            None,
            None,
        ),
    ],
)
def test_reasoning(
    model: str, reasoning: Reasoning, own: dict[str, Any] | None, effort: str | None, max_tokens: int | None
) -> None:
    body, dropped = built(chat(reasoning=reasoning), model, route_max_output_tokens=8000)
    assert body.get("additionalModelRequestFields") == own
    assert body.get("outputConfig") == (None if effort is None else {"effort": effort})
    assert body.get("inferenceConfig") == (None if max_tokens is None else {"maxTokens": max_tokens})
    assert dropped == ()


def test_where_reasoning_must_yield() -> None:
    body, dropped = built(chat(reasoning=Reasoning(effort="high"), max_output_tokens=500), NOVA_2)
    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert dropped == ("reasoning_effort",)
    body, dropped = built(chat(reasoning=Reasoning(effort="high"), max_output_tokens=500), SONNET_45)
    assert body["inferenceConfig"] == {"maxTokens": 500}
    assert "additionalModelRequestFields" not in body
    assert dropped == ("reasoning",)
    for model in (NOVA_PRO, COMMAND, MISTRAL, "anthropic.claude-3-haiku-20240307-v1:0"):
        assert refused(chat(reasoning=Reasoning(effort="low")), model).param == "reasoning"


@pytest.mark.parametrize(
    ("model", "thought", "sent"),
    [
        (
            SONNET_45,
            Thinking(text="Hm", signature="sig", made_by="bedrock"),
            {"reasoningText": {"text": "Hm", "signature": "sig"}},
        ),
        (
            SONNET_45,
            Thinking(text="Hm", signature="sig", made_by="anthropic"),
            {"reasoningText": {"text": "Hm", "signature": "sig"}},
        ),
        (SONNET_45, Thinking(encrypted="AAEC", made_by="bedrock"), {"redactedContent": "AAEC"}),
        (NOVA_2, Thinking(text="[REDACTED]", made_by="bedrock"), {"reasoningText": {"text": "[REDACTED]"}}),
        (SONNET_45, Thinking(encrypted="not base64!", made_by="anthropic"), None),
        (SONNET_45, Thinking(text="Hm", made_by="bedrock"), None),
        (SONNET_45, Thinking(text="Hm", signature="sig", made_by="gemini"), None),
        (NOVA_2, Thinking(text="Hm", signature="sig", made_by="anthropic"), None),
    ],
)
def test_earlier_thoughts(model: str, thought: Thinking, sent: dict[str, Any] | None) -> None:
    messages = (*HI, AssistantMessage(parts=(thought, Text(text="Yes"))), *HI)
    body, dropped = built(chat(messages=messages), model)
    first = body["messages"][1]["content"][0]
    assert first == ({"text": "Yes"} if sent is None else {"reasoningContent": sent})
    assert dropped == (("thinking",) if sent is None else ())


def test_cache_points() -> None:
    request = chat(
        tools=(Tool(name="a", cache="5m"),),
        system=(Text(text="S", cache="1h"), Text(text=" ", cache="5m")),
        messages=(
            UserMessage(parts=(Text(text="A"), Text(text="B", cache="5m"))),
            AssistantMessage(parts=(ToolCall(call_id="1", name="a", arguments="{}"),)),
            UserMessage(parts=(ToolResult(call_id="1", name="a", parts=(Text(text="r", cache="5m"),)),)),
        ),
    )
    point = {"cachePoint": {"type": "default"}}
    body, dropped = built(request, SONNET_45)
    assert "cachePoint" not in body["toolConfig"]["tools"][-1], "of five marks the first yields"
    assert body["system"] == [{"text": "S"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["messages"][0]["content"] == [{"text": "A"}, {"text": "B"}, point]
    assert body["messages"][2]["content"][-1] == point
    assert dropped == ("cache_control",)
    body, dropped = built(request, NOVA_PRO)
    assert body["toolConfig"]["tools"][1:] == []
    assert body["system"] == [{"text": "S"}, point]
    assert dropped == ("cache_control", "cache_ttl")
    body, dropped = built(request, COMMAND)
    assert "cachePoint" not in str(body)
    assert dropped == ("cache_control",)
    body, _ = built(chat(tools=(Tool(name="a", cache="5m"),)), SONNET_45)
    assert body["toolConfig"]["tools"][1:] == [point]


def test_paths_and_headers() -> None:
    plain = WIRE.build(chat(), call(chat(), SONNET_45, api_key="made-up", attempt_id="a1"))
    streamed = WIRE.build(chat(streaming=True), call(chat(streaming=True), "arn:aws:bedrock:us-east-1:1:x/y"))
    assert isinstance(plain, VendorRequest)
    assert isinstance(streamed, VendorRequest)
    assert plain.url_path == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert plain.headers == {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Authorization": "Bearer made-up",
        "X-Tollhouse-Attempt-Id": "a1",
    }
    assert streamed.url_path == "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ax%2Fy/converse-stream"
    assert streamed.headers["Accept"] == "application/vnd.amazon.eventstream"
    assert "Authorization" not in streamed.headers


@pytest.mark.parametrize(
    ("row", "url", "region"),
    [
        ({"base_url": f"https://{HOST}"}, f"https://{HOST}", "us-west-2"),
        ({"base_url": f"https://{HOST}:443/prefix"}, f"https://{HOST}/prefix", "us-west-2"),
        ({"base_url": "http://127.0.0.1:8123/prefix"}, "http://127.0.0.1:8123/prefix", "us-east-1"),
        ({"base_url": "http://[::1]:8123", "region": "eu-north-1"}, "http://[::1]:8123", "eu-north-1"),
        (
            {"base_url": "https://bedrock-runtime.{region}.amazonaws.com", "region": "eu-north-1"},
            "https://bedrock-runtime.eu-north-1.amazonaws.com",
            "eu-north-1",
        ),
    ],
)
def test_signed_as_botocore_signs_it(row: dict[str, str], url: str, region: str) -> None:
    wire = BedrockConverse(VendorRow(name="bedrock", api_key_env=None, wire="bedrock", **row))  # type: ignore[arg-type]
    made = wire.build(chat(), call(chat(), SONNET_45, aws=CREDENTIALS, now_ms=NOW_MS, api_key="unused"))
    assert isinstance(made, VendorRequest)
    unsigned = {name: value for name, value in made.headers.items() if name != "Authorization"}
    theirs = AWSRequest(method="POST", url=url + made.url_path, data=made.body, headers=unsigned)
    theirs.context["timestamp"] = made.headers["X-Amz-Date"]
    keys = Credentials(CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token)
    auth = SigV4Auth(keys, "bedrock", region)
    signature = auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs)
    assert made.headers["Authorization"].endswith(f"Signature={signature}")
    assert f"/{region}/bedrock/aws4_request" in made.headers["Authorization"]


@pytest.mark.parametrize(
    ("model", "family", "thinks", "json"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude", "none", "tool"),
        ("anthropic.claude-v2:1", "claude", "none", "tool"),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude", "budget", "tool"),
        ("us.anthropic.claude-opus-4-20250514-v1:0", "claude", "budget", "tool"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude", "budget", "tool"),
        (OPUS_41, "claude", "budget", "tool"),
        (HAIKU_45, "claude", "budget", "tool_else_native"),
        (SONNET_45, "claude", "budget", "native"),
        ("global.anthropic.claude-opus-4-5-20251101-v1:0", "claude", "budget", "native"),
        (OPUS_46, "claude", "adaptive", "native"),
        ("us.anthropic.claude-sonnet-4-6", "claude", "adaptive", "tool_else_native"),
        (OPUS_47, "claude", "adaptive", "tool"),
        ("us.anthropic.claude-opus-4-8", "claude", "adaptive", "tool"),
        ("amazon.nova-micro-v1:0", "nova", "none", "tool"),
        ("us.amazon.nova-premier-v1:0", "nova", "none", "tool"),
        (NOVA_2, "nova", "nova", "tool"),
        (COMMAND, "command", "none", "no"),
        (MISTRAL, "other", "none", "native"),
    ],
)
def test_what_models_take(model: str, family: str, thinks: str, json: str) -> None:
    traits = traits_of(model, "whatever")
    how = "nova" if traits.nova_thinks else traits.claude.thinking if traits.claude is not None else "none"
    assert (traits.family, how, traits.json) == (family, thinks, json)


def test_traits_by_the_catalogues_name_where_the_vendors_is_an_arn() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    body, _ = built(chat(reasoning=Reasoning(effort="high")), arn, model_id="claude-opus-4.6")
    assert body["outputConfig"] == {"effort": "high"}
