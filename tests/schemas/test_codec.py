"""Whatever lies in a topic, a reader gets its record or UndecodableRecord with a reason that may be logged."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import UndecodableRecord
from schemas.spend import LEDGER
from schemas.usage import USAGE
from tests.schemas.golden_values import CODECS, RECORDS, read

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORD_NAMES = st.sampled_from(sorted(CODECS))


def _only_undecodable(name: str, data: bytes) -> None:
    try:
        record = CODECS[name].decode(data)
    except UndecodableRecord as error:
        reason = error.reason
    else:
        assert isinstance(record, CODECS[name].record_type)
        return
    assert reason.startswith(CODECS[name].record_type.__name__)


@given(RECORD_NAMES, st.binary())
def test_garbage_is_undecodable_and_nothing_worse(name: str, data: bytes) -> None:
    _only_undecodable(name, data)


@given(RECORD_NAMES, JSON_VALUES)
def test_any_json_is_a_record_or_undecodable(name: str, value: Any) -> None:
    _only_undecodable(name, json.dumps(value).encode())


@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_a_damaged_record_is_a_record_or_undecodable(name: str, data: st.DataObject) -> None:
    """Damage that still parses, such as another digit, is nobody's to find; anything else must be refused cleanly."""
    whole = bytearray(read(name))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _only_undecodable(name.split("/", maxsplit=1)[0], bytes(whole))


@pytest.mark.parametrize("record", CODECS)
@pytest.mark.parametrize("depth", [600, 100_000])
def test_nesting_too_deep_for_the_decoder_is_undecodable(record: str, depth: int) -> None:
    """msgspec follows it even in a field that is skipped, and raises RecursionError, which no consumer expects."""
    full = json.loads(read(f"{record}/v1/full.json"))
    nested = json.dumps(full)[:-1].encode() + b', "later": ' + b"[" * depth + b"]" * depth + b"}"
    _only_undecodable(record, nested)


@pytest.mark.parametrize("record", CODECS)
def test_another_major_version_is_refused_by_its_number(record: str) -> None:
    same_shape = json.loads(read(f"{record}/v1/full.json")) | {"v": 2}
    for value in (same_shape, {"v": 2, "all": {"is": "different"}}, {"v": 2}):
        with pytest.raises(UndecodableRecord, match="major version 2, this reader knows 1"):
            CODECS[record].decode(json.dumps(value).encode())


@pytest.mark.parametrize("record", CODECS)
def test_a_record_of_this_major_with_another_shape_is_refused_for_its_shape(record: str) -> None:
    with pytest.raises(UndecodableRecord, match="missing required field"):
        CODECS[record].decode(b'{"v": 1}')


def test_a_reason_quotes_nothing_of_the_record() -> None:
    """It goes to logs and to dead_letter, and a record may hold anything."""
    secret = "Bearer 0123456789 on\ntwo lines - at `$.here"
    for record, change in (
        (LEDGER, {"enforcement": secret}),
        (LEDGER, {"spent_pico_usd": secret}),
        (LEDGER, {secret: 1, "as_of_ms": None}),
    ):
        value = json.loads(read("ledger/v1/full.json")) | change
        with pytest.raises(UndecodableRecord) as caught:
            record.decode(json.dumps(value).encode())
        assert "0123456789" not in caught.value.reason
        assert "two lines" not in caught.value.reason


def test_money_of_any_size_keeps_its_last_digit() -> None:
    for spent_pico_usd in (2**53 + 1, 2**63, 2**64 + 1, 10**37 + 1):
        grown = msgspec.structs.replace(RECORDS["ledger/v1/older.json"], spent_pico_usd=spent_pico_usd)
        assert LEDGER.decode(LEDGER.encode(grown)).spent_pico_usd == spent_pico_usd


@pytest.mark.parametrize("money", [b"1.0", b"1e3", b"1.5", b'"7"', b"null", b"true"])
def test_money_that_is_not_an_integer_is_refused(money: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        LEDGER.decode(read("ledger/v1/older.json").replace(b'"spent_pico_usd": 0', b'"spent_pico_usd": ' + money))


def test_records_are_readable_in_any_kafka_tool() -> None:
    for name, record in RECORDS.items():
        codec = CODECS[name.split("/", maxsplit=1)[0]]
        assert json.loads(codec.encode(record))["v"] == 1
    assert b"\n" not in USAGE.encode(RECORDS["usage/v1/full.json"])
