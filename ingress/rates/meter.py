"""What one key, or one project, has used of its limits at this replica, and how much this replica may use. Pure.

"Per minute" is meant as it is written: within any sixty seconds, wherever they begin, no more than the limit. A token
bucket (or GCRA) of the same size lets nearly twice as much through in the minute after a pause, and replicas that hand
shares to one another would add to that. So a meter counts what was taken in each second, and a second's count goes when
all of it is more than a minute old: exact, at up to one second's delay, with at most 61 counts for a meter.
"""

from collections import deque
from typing import Literal

from schemas.tenancy import Limits

MINUTE_S = 60

UNLIMITED = 1 << 62

LimitKind = Literal["requests", "tokens", "concurrent"]
KINDS: tuple[LimitKind, ...] = ("requests", "tokens", "concurrent")


class Second:
    """What was taken in one second. `counted` turns False when it has left the minute."""

    __slots__ = ("at_s", "counted", "requests", "tokens")

    def __init__(self, at_s: int) -> None:
        self.at_s = at_s
        self.requests = 0
        self.tokens = 0
        self.counted = True


class Meter:
    """`share_*`: of each limit, what this replica may use; UNLIMITED where there is none. The sums of the minute are
    true once `advance` was called. `open_tickets`: requests that are not settled, whether answered or not."""

    __slots__ = (
        "asked_requests",
        "asked_tokens",
        "concurrent",
        "demand",
        "limits",
        "names",
        "open_tickets",
        "refused_concurrent",
        "requests",
        "seconds",
        "share_concurrent",
        "share_requests",
        "share_tokens",
        "subject",
        "tokens",
    )

    def __init__(self, subject: str, limits: Limits) -> None:
        self.subject = subject
        self.names: dict[LimitKind, str] = {kind: f"{subject}/{kind}" for kind in KINDS}
        self.seconds: deque[Second] = deque()
        self.requests = self.tokens = self.concurrent = self.open_tickets = 0
        self.share_requests = self.share_tokens = self.share_concurrent = UNLIMITED
        # What clients have asked for since the last announcement, refused or not; and of late.
        self.asked_requests = self.asked_tokens = self.refused_concurrent = 0
        self.demand: dict[LimitKind, int] = dict.fromkeys(KINDS, 0)
        self.limits = limits

    def limit(self, kind: LimitKind) -> int | None:
        if kind == "requests":
            return self.limits.requests_per_minute
        return self.limits.tokens_per_minute if kind == "tokens" else self.limits.concurrent_requests

    def used(self, kind: LimitKind) -> int:
        if kind == "requests":
            return self.requests
        return self.tokens if kind == "tokens" else self.concurrent

    def share(self, kind: LimitKind) -> int:
        if kind == "requests":
            return self.share_requests
        return self.share_tokens if kind == "tokens" else self.share_concurrent

    def set_share(self, kind: LimitKind, share: int) -> None:
        if kind == "requests":
            self.share_requests = share
        elif kind == "tokens":
            self.share_tokens = share
        else:
            self.share_concurrent = share

    def advance(self, now_s: float) -> None:
        """Lets go of what is more than a minute old. `now_s`: monotonic."""
        seconds = self.seconds
        oldest_s = now_s - MINUTE_S - 1
        while seconds and seconds[0].at_s <= oldest_s:
            gone = seconds.popleft()
            gone.counted = False
            self.requests -= gone.requests
            self.tokens -= gone.tokens

    def take(self, now_s: float, tokens: int) -> Second:
        """Counts a request that begins; `advance` has been called with the same time."""
        seconds = self.seconds
        if seconds and now_s < seconds[-1].at_s + 1:
            second = seconds[-1]
        else:
            second = Second(int(now_s))
            seconds.append(second)
        second.requests += 1
        second.tokens += tokens
        self.requests += 1
        self.tokens += tokens
        self.concurrent += 1
        self.open_tickets += 1
        return second

    def give_back(self, second: Second, requests: int, tokens: int) -> None:
        """Uncounts what was counted in that second, if it still is."""
        if second.counted:
            second.requests -= requests
            second.tokens -= tokens
            self.requests -= requests
            self.tokens -= tokens

    def add_tokens(self, now_s: float, tokens: int) -> None:
        """More was used than was taken: it may go beyond the share, and then holds up those that come."""
        self.advance(now_s)
        if not self.seconds or now_s >= self.seconds[-1].at_s + 1:
            self.seconds.append(Second(int(now_s)))
        self.seconds[-1].tokens += tokens
        self.tokens += tokens

    def free_in_s(self, kind: LimitKind, amount: int, now_s: float) -> float:
        """Seconds until `amount` more fits the share, if nobody else comes; infinite: never. `advance` was called."""
        excess = self.used(kind) + amount - self.share(kind)
        for second in self.seconds:
            if excess <= 0:
                break
            excess -= second.requests if kind == "requests" else second.tokens
            if excess <= 0:
                return second.at_s + MINUTE_S + 1 - now_s
        return 0.0 if excess <= 0 else float("inf")

    def empty_in_s(self, now_s: float) -> float:
        """Seconds until all of the minute is forgotten."""
        return self.seconds[-1].at_s + MINUTE_S + 1 - now_s if self.seconds else 0.0

    def fade(self) -> None:
        """Once each beat: what was asked for long ago counts for less. Four beats' worth, if it is always the same."""
        asked = {
            "requests": self.asked_requests,
            "tokens": self.asked_tokens,
            "concurrent": self.concurrent + self.refused_concurrent,
        }
        for kind in KINDS:
            self.demand[kind] = self.demand[kind] * 3 // 4 + asked[kind]
        self.asked_requests = self.asked_tokens = self.refused_concurrent = 0

    def demand_now(self, kind: LimitKind) -> int:
        """At least 1, because whoever has used a limit within the minute speaks of it."""
        if kind == "requests":
            asked = self.asked_requests
        else:
            asked = self.asked_tokens if kind == "tokens" else self.concurrent + self.refused_concurrent
        return max(1, self.demand[kind] + asked)

    @property
    def idle(self) -> bool:
        """Nothing of it is left that anybody could miss; `advance` has been called."""
        return not self.seconds and not self.open_tickets and not any(self.demand.values())
