"""HTTP sessions: a name for one engine handle that keeps its temporary tables and `SET`s between calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from deploy.local.clickhouse.errors import (
    BAD_ARGUMENTS,
    INVALID_SESSION_TIMEOUT,
    SESSION_IS_LOCKED,
    SESSION_NOT_FOUND,
    refuse,
)

DEFAULT_TIMEOUT_S = 60
MAX_TIMEOUT_S = 3600


class Closable(Protocol):
    def close(self) -> None: ...


HandleT = TypeVar("HandleT", bound=Closable)


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a call says of its session. `must_exist` is `session_check=1`."""

    name: str
    timeout_s: int
    must_exist: bool


def session_request(fields: Mapping[str, str]) -> SessionRequest | None:
    """The session named in a URL, if any.

    Raises:
        ClickHouseError: for an empty name and for a timeout outside 1..3600 s.
    """
    name = fields.get("session_id")
    if name is None:
        return None
    if not name:
        raise refuse(BAD_ARGUMENTS, "Session id query parameter was provided, but it was empty")
    given = fields.get("session_timeout", str(DEFAULT_TIMEOUT_S))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MAX_TIMEOUT_S):
        raise refuse(INVALID_SESSION_TIMEOUT, f"Invalid session timeout {given!r}: expected 1..{MAX_TIMEOUT_S} seconds")
    return SessionRequest(name, int(given), fields.get("session_check") == "1")


@dataclass(slots=True)
class Session(Generic[HandleT]):
    """`handle` is opened by the first call that runs in the session, in its own thread."""

    handle: HandleT | None
    expires_at_s: float
    busy: bool


class Sessions(Generic[HandleT]):
    """All sessions of one server. Not thread-safe: used from the event loop only.

    `now_s` is a monotonic clock in seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._by_name: dict[str, Session[HandleT]] = {}
        self._forgotten: list[HandleT] = []

    @contextmanager
    def lease(self, wanted: SessionRequest) -> Iterator[Session[HandleT]]:
        """The session, for this call alone; its idle time begins anew when the call ends.

        Raises:
            ClickHouseError: SESSION_IS_LOCKED if another call runs in it, SESSION_NOT_FOUND if it must exist
                and does not.
        """
        self._forget_idle()
        session = self._by_name.get(wanted.name)
        if session is None:
            if wanted.must_exist:
                raise refuse(SESSION_NOT_FOUND, f"Session {wanted.name} not found")
            session = self._by_name[wanted.name] = Session(handle=None, expires_at_s=0.0, busy=False)
        elif session.busy:
            raise refuse(SESSION_IS_LOCKED, f"Session {wanted.name} is locked by a concurrent client")
        session.busy = True
        try:
            yield session
        finally:
            session.busy = False
            session.expires_at_s = self._now_s() + wanted.timeout_s

    def take_expired(self) -> list[HandleT]:
        """Handles of sessions idle for too long; the caller closes them, which can take the engine a moment."""
        self._forget_idle()
        expired, self._forgotten = self._forgotten, []
        return expired

    def take_all(self) -> list[HandleT]:
        """Handles of all sessions that no call runs in, for the end of the server."""
        idle = [session for session in self._by_name.values() if not session.busy]
        self._by_name.clear()
        taken, self._forgotten = self._forgotten, []
        return taken + [session.handle for session in idle if session.handle is not None]

    def _forget_idle(self) -> None:
        now_s = self._now_s()
        for name, session in list(self._by_name.items()):
            if not session.busy and session.expires_at_s <= now_s:
                del self._by_name[name]
                if session.handle is not None:
                    self._forgotten.append(session.handle)
