"""No feature of a request is lost in silence, whatever the vendor's format."""

import pytest

from router_worker.vendors.vendor import ParsedResponse
from schemas.failures import Failure
from tests.matrix.cells import CLIENTS, WIRES, WireSamples, send
from tests.matrix.features import FEATURES, UNHEEDED, Feature, calling, fate


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: str(feature.name))
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: str(wire.name))
def test_nothing_is_lost_in_silence(wire: WireSamples, feature: Feature) -> None:
    found = fate(wire, feature)
    expected = (feature.name, wire.name) in UNHEEDED
    assert (found.verdict == "lost") == expected, found


def test_cohere_hides_thoughts_on_request() -> None:
    """It cannot be told to, so the gateway leaves them out of the answer."""
    wire = next(wire for wire in WIRES if wire.name == "cohere")
    hidden = next(feature for feature in FEATURES if feature.name == "reasoning: hidden")
    for request, thoughts in ((hidden.request, False), (hidden.without, True)):
        call, vendor = calling(wire, request)
        parsed = vendor.parse_response(call, 200, {}, wire.answer("plain", {}).body)
        assert isinstance(parsed, ParsedResponse)
        assert (b"reasoning_content" in parsed.body_for_client) == thoughts


def test_mistral_takes_the_cache_key() -> None:
    """Without it its cache is hit by chance only, and cached input costs a tenth (Mistral docs, "Prompt caching")."""
    client, wire = CLIENTS[0], next(wire for wire in WIRES if wire.name == "mistral")
    body = client.request("plain", streaming=False) | {"prompt_cache_key": "conversation-7"}
    sent = send(client.name, wire, body, streaming=False, path_model=None)
    assert not isinstance(sent, Failure)
    assert sent.body["prompt_cache_key"] == "conversation-7"
    assert sent.request.dropped == ()
