"""However far each replica has read, together they never have, nor use, more than a limit."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingress.admission import Refusal
from ingress.rates.rate_limits import RateTicket
from ingress.rates.shares import LIFE_BEATS, Shares
from schemas.replicas import LimitUse, ReplicaRecord
from schemas.tenancy import Limits
from tests.ingress.rates.fleet import Fleet, ask_of

MAX_REPLICAS = 4
NAMES = {"one": 1, "three": 3, "ten": 10}
IN_DEPTH = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class _Speaker:
    """A replica that asks for whatever the test says, and reads when the test says so."""

    def __init__(self, replica_id: str) -> None:
        self.shares = Shares(replica_id)
        self.seq = self.beat = self.position = 0


class Believing(RuleBasedStateMachine):
    """Replicas come, ask for anything, read late, crash. One that lives is never silent until it is taken for dead: one
    that is frozen for so long keeps its share until it reads on, and that is not denied."""

    @initialize(size=st.integers(2, 3))
    def begin(self, size: int) -> None:
        self.log: list[ReplicaRecord] = []
        self.living: list[_Speaker] = []
        self.beats_since: dict[tuple[str, str], int] = {}
        self.number = 0
        for _ in range(size):
            self.join()
        for _ in range(2):
            for speaker in self.living:
                self.say(speaker, [], beat=False)
            self.all_read_all()

    @precondition(lambda self: len(self.living) < MAX_REPLICAS)
    @rule()
    def join(self) -> None:
        # Ids do not sort by age.
        speaker = _Speaker(f"r{self.number * 7 % 10}{self.number}")
        self.number += 1
        self.living.append(speaker)
        # Its first word may come later, when others have come as well.
        self.read_on(speaker, len(self.log))

    def say(self, speaker: _Speaker, uses: list[LimitUse], *, beat: bool) -> None:
        own = speaker.shares.own_id
        if beat:
            for other in self.living:
                if other is not speaker and self.beats_since.get((own, other.shares.own_id), 0) >= LIFE_BEATS - 1:
                    self.say(other, [], beat=False)
                self.beats_since[own, other.shares.own_id] = self.beats_since.get((own, other.shares.own_id), 0) + 1
        for other in self.living:
            self.beats_since[other.shares.own_id, own] = 0
        speaker.seq += 1
        speaker.beat += beat
        speaker.shares.sending(speaker.seq, uses)
        self.log.append(
            ReplicaRecord(
                replica_id=own,
                seq=speaker.seq,
                beat=speaker.beat,
                at_ms=0,
                known=speaker.shares.fellows,
                limits=tuple(uses),
            )
        )

    def read_on(self, speaker: _Speaker, records: int) -> None:
        for record in self.log[speaker.position : speaker.position + records]:
            speaker.shares.apply(record)
        speaker.position = min(len(self.log), speaker.position + records)

    @rule(
        which=st.integers(0, MAX_REPLICAS - 1),
        asks=st.dictionaries(st.sampled_from(sorted(NAMES)), st.integers(0, 10)),
        beat=st.booleans(),
    )
    def speak(self, which: int, asks: dict[str, int], beat: bool) -> None:
        uses = [LimitUse(name, NAMES[name], min(ask, NAMES[name]), ask) for name, ask in asks.items()]
        self.say(self.living[which % len(self.living)], uses, beat=beat)

    @rule(which=st.integers(0, MAX_REPLICAS - 1), records=st.integers(1, 4))
    def read(self, which: int, records: int) -> None:
        self.read_on(self.living[which % len(self.living)], records)

    @rule()
    def all_read_all(self) -> None:
        for speaker in self.living:
            self.read_on(speaker, len(self.log))

    @rule(which=st.integers(0, MAX_REPLICAS - 1))
    def read_to_the_end(self, which: int) -> None:
        self.read_on(self.living[which % len(self.living)], len(self.log))

    @precondition(lambda self: len(self.living) > 1)
    @rule(which=st.integers(0, MAX_REPLICAS - 1), beats=st.integers(0, LIFE_BEATS + 1))
    def crash(self, which: int, beats: int) -> None:
        self.living.pop(which % len(self.living))
        for _ in range(beats):
            self.say(self.living[0], [], beat=True)

    @invariant()
    def nobody_believes_too_much(self) -> None:
        for name, limit in NAMES.items():
            believed = [speaker.shares.own(name, limit) for speaker in self.living]
            assert sum(believed) <= limit, (name, believed)


TestBelieving = Believing.TestCase
TestBelieving.settings = IN_DEPTH


class Using(RuleBasedStateMachine):
    """What is let through by replicas that share by demand, in whole rounds; the log's order and lag are above."""

    @initialize(limits=st.tuples(st.integers(1, 12), st.integers(1, 3000), st.integers(1, 5)), size=st.integers(1, 3))
    def begin(self, limits: tuple[int, int, int], size: int) -> None:
        self.limits = Limits(requests_per_minute=limits[0], tokens_per_minute=limits[1], concurrent_requests=limits[2])
        self.fleet = Fleet(size)
        # When requests were let through.
        self.taken: list[float] = []
        self.open: list[RateTicket] = []

    @rule(which=st.integers(0, 2), times=st.integers(1, 8), tokens=st.integers(0, 600))
    def ask(self, which: int, times: int, tokens: int) -> None:
        replica = self.fleet.replicas[which % len(self.fleet.replicas)]
        for _ in range(times):
            ticket = replica.rates.admit(ask_of(self.limits, tokens=tokens))
            if not isinstance(ticket, Refusal):
                self.taken.append(self.fleet.clock.monotonic_s())
                self.open.append(ticket)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 100))
    def answer(self, which: int) -> None:
        self.open.pop(which % len(self.open)).answered()

    @rule(beats=st.integers(1, 12))
    def beats_pass(self, beats: int) -> None:
        for _ in range(beats):
            self.fleet.beat()

    @rule(seconds=st.floats(0.05, 0.95))
    def a_moment_passes(self, seconds: float) -> None:
        self.fleet.clock.move(seconds)

    @rule(after_s=st.integers(50, 61))
    def most_of_a_minute_passes(self, after_s: int) -> None:
        for _ in range(after_s):
            self.fleet.beat()

    @invariant()
    def no_minute_has_more_than_the_limit(self) -> None:
        now_s = self.fleet.clock.monotonic_s()
        self.taken = [at_s for at_s in self.taken if at_s > now_s - 60]
        requests, concurrent = self.limits.requests_per_minute, self.limits.concurrent_requests
        assert requests is not None
        assert concurrent is not None
        assert len(self.taken) <= requests
        assert len(self.open) <= concurrent


TestUsing = Using.TestCase
TestUsing.settings = settings(IN_DEPTH, max_examples=60, stateful_step_count=30)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_quiet_limit_is_divided_wholly(size: int) -> None:
    fleet = Fleet(size)
    for limit in (1, 2, 10, 1000):
        shares = fleet.shares_of("key/k/requests", limit)
        assert sum(shares) == limit
        assert max(shares) - min(shares) <= 1
