"""No feature of a request is lost in silence, whatever the vendor's format."""

import pytest

from router_worker.vendors.vendor import ParsedResponse
from tests.matrix.cells import WIRES, WireSamples
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
