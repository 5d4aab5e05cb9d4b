"""The log alone decides who writes: every reader of the same log comes to the same judgement."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.fencing import Fence, Stamp, decode_stamp, encode_stamp

STAMPS = st.builds(Stamp, st.integers(1, 5), st.sampled_from(["a", "b", "c"]), st.integers(0, 9))


@given(st.integers(0, 10**9), st.text("abc:-.0123", min_size=1), st.integers(0, 10**9))
def test_a_stamp_survives_the_header(term: int, writer_id: str, number: int) -> None:
    assert decode_stamp(encode_stamp(Stamp(term, writer_id, number))) == Stamp(term, writer_id, number)


@given(st.binary())
def test_any_bytes_are_a_stamp_or_none(value: bytes) -> None:
    stamp = decode_stamp(value)
    assert stamp is None or decode_stamp(encode_stamp(stamp)) == stamp


@given(st.lists(STAMPS))
def test_what_a_deposed_writer_appends_never_counts(log: list[Stamp]) -> None:
    fence, highest = Fence(), (0, "")
    for stamp in log:
        admitted = fence.admits(stamp)
        assert admitted == (stamp.rank >= highest)
        highest = max(highest, stamp.rank)


@given(st.lists(STAMPS, min_size=1), st.data())
def test_compaction_of_markers_does_not_change_who_writes(log: list[Stamp], data: st.DataObject) -> None:
    """Whatever older records are gone, the last valid record is judged as before, and so is all that comes after."""
    whole = Fence()
    judged = [whole.admits(stamp) for stamp in log]
    last = max(at for at, valid in enumerate(judged) if valid)
    gone = data.draw(st.sets(st.integers(0, len(log) - 1)).map(lambda found: found - {last}))
    compacted = Fence()
    for at, stamp in enumerate(log):
        if at not in gone:
            admitted = compacted.admits(stamp)
            if at >= last:
                assert admitted == judged[at]
    assert compacted.highest is not None
    assert whole.highest is not None
    assert compacted.highest.rank == whole.highest.rank


def test_without_a_stamp_nothing_counts() -> None:
    assert not Fence().admits(None)
    assert Fence().next_term() == 1
