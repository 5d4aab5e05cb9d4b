"""All meters of this replica: one for each key and each project with limits that was used of late. Pure."""

from collections.abc import Iterable, Iterator

from ingress.rates.meter import KINDS, UNLIMITED, LimitKind, Meter
from ingress.rates.shares import Shares
from schemas.tenancy import ApiKey, Limits, Project


class Meters:
    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._keys: dict[str, Meter] = {}
        self._projects: dict[str, Meter] = {}
        self._by_limit: dict[str, tuple[Meter, LimitKind]] = {}

    def of_key(self, key: ApiKey) -> Meter:
        meter = self._keys.get(key.api_key_id)
        if meter is None:
            meter = self._keys[key.api_key_id] = self._made(f"key/{key.api_key_id}", key.limits)
        elif meter.limits is not key.limits:
            self._set_limits(meter, key.limits)
        return meter

    def of_project(self, project: Project) -> Meter:
        meter = self._projects.get(project.project_id)
        if meter is None:
            meter = self._projects[project.project_id] = self._made(f"project/{project.project_id}", project.limits)
        elif meter.limits is not project.limits:
            self._set_limits(meter, project.limits)
        return meter

    def _made(self, subject: str, limits: Limits) -> Meter:
        meter = Meter(subject, limits)
        self._set_limits(meter, limits)
        return meter

    def _set_limits(self, meter: Meter, limits: Limits) -> None:
        """A limit that was changed holds for the next request."""
        meter.limits = limits
        for kind, name in meter.names.items():
            limit = meter.limit(kind)
            if limit is None:
                self._by_limit.pop(name, None)
                meter.set_share(kind, UNLIMITED)
            else:
                self._by_limit[name] = (meter, kind)
                meter.set_share(kind, self._shares.own(name, limit))

    def shares_changed(self, names: Iterable[str]) -> None:
        for name in names:
            found = self._by_limit.get(name)
            if found is not None:
                meter, kind = found
                limit = meter.limit(kind)
                meter.set_share(kind, UNLIMITED if limit is None else self._shares.own(name, limit))

    def all_shares_changed(self) -> None:
        """After a replica has come or gone, even of the limits that nobody speaks of."""
        self.shares_changed(list(self._by_limit))

    def in_use(self) -> Iterator[tuple[str, int, Meter, LimitKind]]:
        """Name and size of each limit that this replica has a meter for."""
        for name, (meter, kind) in self._by_limit.items():
            limit = meter.limit(kind)
            if limit is not None:
                yield name, limit, meter, kind

    def fade(self, now_s: float) -> None:
        """Once each beat: brings all up to date and forgets those that have not been used for a minute."""
        for table in (self._keys, self._projects):
            for owner, meter in list(table.items()):
                meter.advance(now_s)
                meter.fade()
                if meter.idle:
                    del table[owner]
                    for kind in KINDS:
                        self._by_limit.pop(meter.names[kind], None)
