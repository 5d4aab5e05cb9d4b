"""The closed table of failures: a kind without its whole row is a failure that somebody handles by guessing."""

import re
from http import HTTPStatus

import pytest

from schemas.failures import (
    FAILURES,
    MAX_MESSAGE_CHARACTERS,
    MAX_PARAM_CHARACTERS,
    Failure,
    FailureKind,
    clipped,
)
from schemas.frames import FAILURE_DECODER, encode_payload

CLIENT_GONE_STATUS = 499  # nginx's; no client ever sees it


def test_the_table_has_exactly_one_row_for_each_kind() -> None:
    assert set(FAILURES) == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind)
def test_statuses_are_errors_that_http_knows(kind: FailureKind) -> None:
    status = FAILURES[kind].status
    assert 400 <= status < 600
    assert status == CLIENT_GONE_STATUS or status in set(HTTPStatus)


@pytest.mark.parametrize("kind", FailureKind)
def test_texts_are_plain_sentences_for_a_client(kind: FailureKind) -> None:
    text = FAILURES[kind].text
    assert re.fullmatch(r"[A-Z][^{}%\n]{8,}\.", text), "a whole sentence, with nothing left to fill in"


def test_no_two_kinds_tell_the_client_the_same() -> None:
    texts = [rule.text for rule in FAILURES.values()]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("kind", FailureKind)
def test_only_a_vendors_failure_is_worth_another_route_or_may_be_billed(kind: FailureKind) -> None:
    rule = FAILURES[kind]
    if not kind.value.startswith("vendor_"):
        assert (rule.advance, rule.maybe_billed, rule.cooldown_s) == (False, False, 0)


@pytest.mark.parametrize("kind", FailureKind)
def test_a_route_rests_exactly_when_another_may_do_better(kind: FailureKind) -> None:
    """Resting without advancing would punish a route for its callers; advancing without resting hammers a sick one."""
    rule = FAILURES[kind]
    assert (rule.cooldown_s > 0) == rule.advance
    assert rule.cooldown_s <= 60


@pytest.mark.parametrize("kind", FailureKind)
def test_a_callers_mistake_never_advances(kind: FailureKind) -> None:
    rule = FAILURES[kind]
    if rule.status in (400, 401, 402, 403, 404, 405, 413):
        assert not rule.advance
        assert rule.log_level != "error", "a caller could fill our error log at will"


@pytest.mark.parametrize("kind", FailureKind)
def test_what_broke_after_the_vendor_had_the_request_may_be_billed(kind: FailureKind) -> None:
    reached_the_vendor = {
        FailureKind.VENDOR_FIRST_BYTE_TIMEOUT,
        FailureKind.VENDOR_STALLED,
        FailureKind.VENDOR_BROKE_OFF,
        FailureKind.VENDOR_GARBLED,
    }
    assert FAILURES[kind].maybe_billed == (kind in reached_the_vendor)


def test_a_failure_says_what_its_rule_says_unless_it_knows_better() -> None:
    plain = Failure(kind=FailureKind.VENDOR_REFUSED_REQUEST)
    assert (plain.http_status, plain.text) == (400, FAILURES[FailureKind.VENDOR_REFUSED_REQUEST].text)
    exact = Failure(kind=FailureKind.VENDOR_REFUSED_REQUEST, status=422, message="temperature is too high")
    assert (exact.http_status, exact.text) == (422, "temperature is too high")
    assert exact.rule is plain.rule


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_travels_in_a_frame(kind: FailureKind) -> None:
    failure = Failure(kind=kind)
    assert FAILURE_DECODER.decode(encode_payload(failure)) == failure


def test_what_a_client_sent_is_not_sent_back_by_the_megabyte() -> None:
    failure = Failure(kind=FailureKind.INVALID_REQUEST, message="m" * 10**6, param="p" * 10**6, code="c", status=422)
    cut = clipped(failure)
    assert (len(cut.text), len(cut.param or "")) == (MAX_MESSAGE_CHARACTERS + 1, MAX_PARAM_CHARACTERS)
    assert (cut.kind, cut.code, cut.http_status) == (failure.kind, "c", 422)
    short = Failure(kind=FailureKind.INVALID_REQUEST, param="p")
    assert clipped(short) is short
