"""Malformed bodies at every client API, for every vendor format: a refusal that names what is wrong, or a sound one.

Nothing of a body may raise an exception anywhere between the ingress's door and the vendor's: it would be a 500 at the
ingress, and at a worker a request that is put back again and again.
"""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingress.client_apis import SURFACES as CLIENT_SURFACES
from router_worker.vendors.vendor import VendorRequest
from schemas.envelope import Surface
from schemas.failures import Failure, FailureKind
from tests.fuzz.client_formats import check_error_body, strict_json
from tests.fuzz.mutations import Cut, dump, few_byte_cuts, few_cuts, mutated, mutated_bytes
from tests.fuzz.worker_ways import DESTINATIONS, GATEWAY_FIELDS, SAMPLES, Handled, handle

SURFACES = tuple(SAMPLES)
FEW = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_HEADER_SAFE = re.compile(r"[\x20-\x7e]{1,500}")
_OF_THE_WHOLE_BODY = re.compile(r"request body|The body is nested|not valid JSON|Expected `object`|valid conversation")


def judge(surface: Surface, handled: Handled) -> None:
    for failure in handled.refusals():
        _judge_refusal(surface, failure)
    for destination, _, made in handled.built:
        if isinstance(made, VendorRequest):
            _judge_request(made, translated=destination.ways[surface].translated)


def _judge_refusal(surface: Surface, failure: Failure) -> None:
    assert 400 <= failure.http_status < 500, failure
    assert failure.kind in (FailureKind.INVALID_JSON, FailureKind.INVALID_REQUEST), failure
    body = CLIENT_SURFACES[surface].error_body(failure, "req_1")
    check_error_body(surface, body, failure.http_status, failure.param)
    if failure.kind is FailureKind.INVALID_REQUEST and failure.param is None:
        assert _OF_THE_WHOLE_BODY.search(failure.text), failure


def _judge_request(made: VendorRequest, *, translated: bool) -> None:
    assert re.fullmatch(r"/[\x21-\x7e]*", made.url_path), made.url_path
    for name in made.dropped:
        # They go into a header of the answer: a line break there would be a client's own header, or a 500.
        assert _HEADER_SAFE.fullmatch(name), name
    for name, value in made.headers.items():
        assert _HEADER_SAFE.fullmatch(name + value), (name, value)
    found = strict_json(made.body, readable=translated)
    assert isinstance(found, dict)
    assert not found.keys() & GATEWAY_FIELDS


@pytest.mark.parametrize("surface", SURFACES)
@FEW
@given(st.integers(0, 2), few_cuts, st.booleans())
def test_any_change_of_the_tree(surface: Surface, sample: int, cuts: Sequence[Cut], streaming: bool) -> None:
    samples = SAMPLES[surface]
    body = dump(mutated(samples[sample % len(samples)], cuts))
    judge(surface, handle(surface, body, streaming=streaming))


@pytest.mark.parametrize("surface", SURFACES)
@FEW
@given(st.integers(0, 2), few_byte_cuts, st.booleans())
def test_any_change_of_the_bytes(surface: Surface, sample: int, cuts: Sequence[Cut], streaming: bool) -> None:
    samples = SAMPLES[surface]
    body = mutated_bytes(dump(samples[sample % len(samples)]), cuts)
    judge(surface, handle(surface, body, streaming=streaming))


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    "body", [b"", b" ", b"null", b"[]", b'""', b"{", b"\xff", b"{}", b"1", b'{"model":"fuzz"}', b"[" * 100_000]
)
def test_what_is_no_request_at_all(surface: Surface, body: bytes) -> None:
    handled = handle(surface, body)
    assert handled.refusal is not None
    judge(surface, handled)


@pytest.mark.parametrize("surface", SURFACES)
def test_the_samples_are_valid(surface: Surface) -> None:
    """Else all of the above would only meet the first check. Each sample is said to some vendor, and each vendor of
    the client's own format takes them all."""
    for sample in SAMPLES[surface]:
        handled = handle(surface, dump(sample))
        judge(surface, handled)
        assert handled.refusal is None, handled.refusal
        made: dict[str, Any] = {destination.vendor: request for destination, _, request in handled.built}
        ways = {
            destination.vendor: destination.ways[surface] for destination in DESTINATIONS if surface in destination.ways
        }
        for vendor, request in made.items():
            assert isinstance(request, VendorRequest) or ways[vendor].translated, (vendor, request)
        refused = {vendor: request.param for vendor, request in made.items() if isinstance(request, Failure)}
        assert len(refused) < len(made), refused
