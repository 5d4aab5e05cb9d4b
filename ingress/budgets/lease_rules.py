"""The times that leases go by."""

from typing import NamedTuple


class LeaseRules(NamedTuple):
    """In seconds. ttl: after so much silence the authority calls a lease dead. rotate: a lease is replaced by a fresh
    one after so long. idle: with nothing held for so long it is closed. soon: for what may wait to be said together
    with others. brisk: for what others wait for, if the last word is not answered yet. again: when to ask once more if
    there is no answer. forget: how long a closing lease that the authority has never spoken of is kept in mind."""

    ttl_s: float = 15.0
    rotate_s: float = 30.0
    idle_s: float = 10.0
    soon_s: float = 0.25
    brisk_s: float = 0.1
    again_s: float = 0.5
    forget_s: float = 60.0

    @property
    def renew_s(self) -> float:
        return self.ttl_s / 3

    @property
    def good_for_s(self) -> float:
        """How long a lease may be drawn on after an answered report was sent. The rest of the ttl is for a clock that
        goes slower here than at the authority."""
        return self.ttl_s * 14 / 15

    @property
    def lookahead_ms(self) -> int:
        """Longer than from one renewal to the next, so that the renewal is the top-up."""
        return int(self.renew_s * 1600)

    @property
    def low_ms(self) -> int:
        """With less than this ahead, the next renewal is not waited for."""
        return int(self.renew_s * 300)
