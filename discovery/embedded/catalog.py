"""The catalog: what is registered and visible, and the index of each answer that can be waited for."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from discovery.embedded.definition import CheckDefinition, Kind, ServiceDefinition, Status
    from discovery.embedded.draft import Draft

# By check ID: the seconds until its TTL runs out, and for how many it has been critical.
Times = dict[str, tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Service:
    """One registered instance of a service, with the indexes of its first and its last change."""

    definition: ServiceDefinition
    create_index: int
    modify_index: int

    @property
    def id(self) -> str:
        return self.definition.id

    @property
    def name(self) -> str:
        return self.definition.name


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a service, or of the node when `service_id` is empty.

    `definition` is None for a maintenance mode, which is a critical check as long as it lasts.
    `expires` and `critical_since` are moments of this process's clock: when a TTL runs out unless it is renewed, and
    since when the check is critical.
    """

    id: str
    name: str
    notes: str
    service_id: str
    kind: Kind
    definition: CheckDefinition | None
    status: Status
    output: str
    create_index: int
    modify_index: int
    expires: float = math.inf
    critical_since: float | None = None

    def same_as(self, other: Check) -> bool:
        """Whether nobody who waits for a change wants to hear of the difference.

        An output that changed alone is no change, so that a check whose text holds a time of day wakes nobody. Consul
        puts such a change off for five minutes, for the same reason.
        """
        return (
            self.status == other.status
            and self.service_id == other.service_id
            and self.definition == other.definition
            and (self.name, self.notes, self.kind) == (other.name, other.notes, other.kind)
        )

    @property
    def reap_at(self) -> float:
        """When the service is deregistered if the check stays critical."""
        if self.critical_since is None or self.definition is None or not self.service_id:
            return math.inf
        after = self.definition.reap_seconds
        return math.inf if after is None else self.critical_since + after

    @property
    def deadline(self) -> float:
        """When time alone changes something about this check."""
        return min(self.expires, self.reap_at)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became visible: the names of services whose answer changed, whether the list of services did, and the
    checks that are new, other or gone.
    """

    names: frozenset[str]
    services: bool
    checks: frozenset[str]


class Catalog:
    """What readers see. It changes by `apply` alone, a whole draft at a time.

    `index` counts drafts, over restarts too. Each service name has an index of its own, so that a change of one wakes
    nobody who waits for another. A name without instances has the index of the last time that any name lost its last
    one: nothing needs to be remembered of names that are gone, and no index goes back.
    """

    def __init__(self, index: int = 1, services: Iterable[Service] = (), checks: Iterable[Check] = ()) -> None:
        self.index = index
        self.services: dict[str, Service] = {service.id: service for service in services}
        self.checks: dict[str, Check] = {check.id: check for check in checks}
        self.services_index = index
        self.checks_index = index
        self._absent_index = index
        # A restart forgets what the index of each name was. None was above `index`, so with that none goes back.
        self._name_index: dict[str, int] = {}
        self._tags: dict[str, list[str]] = {}
        self._tags_index = 0  # the services_index that the tags are of
        self._ids_of_name: defaultdict[str, set[str]] = defaultdict(set)
        self._checks_of_service: defaultdict[str, set[str]] = defaultdict(set)
        for service in self.services.values():
            self._name_index[service.name] = index
            self._ids_of_name[service.name].add(service.id)
        for check in self.checks.values():
            self._checks_of_service[check.service_id].add(check.id)

    def name_index(self, name: str) -> int:
        return self._name_index.get(name, self._absent_index)

    def instances(self, name: str) -> list[Service]:
        """Return the instances of a service, by ID."""
        return [self.services[service_id] for service_id in sorted(self._ids_of_name.get(name, ()))]

    def checks_of(self, service_id: str) -> list[Check]:
        """Return the checks of an instance, by ID; the node's for an empty ID."""
        return [self.checks[check_id] for check_id in sorted(self._checks_of_service.get(service_id, ()))]

    def tags_by_name(self) -> dict[str, list[str]]:
        """Return every service's name with all tags that its instances have."""
        if self._tags_index != self.services_index:
            tags: dict[str, set[str]] = {name: set() for name in sorted(self._ids_of_name)}
            for service in self.services.values():
                tags[service.name].update(service.definition.tags)
            self._tags = {name: sorted(found) for name, found in tags.items()}
            self._tags_index = self.services_index
        return self._tags

    def times(self, now: float) -> Times:
        """Return for each check in how many seconds its TTL runs out, and for how many it has been critical."""
        return {
            check.id: (
                None if math.isinf(check.expires) else check.expires - now,
                None if check.critical_since is None else now - check.critical_since,
            )
            for check in self.checks.values()
            if check.critical_since is not None or not math.isinf(check.expires)
        }

    def take_times(self, times: Times, now: float) -> None:
        """Have the checks run out when those would have of the catalog whose `times` these are.

        Those of checks that are there and in the same state count; none gives a TTL more than it would have.
        """
        for check_id, (left, critical_for) in times.items():
            check = self.checks.get(check_id)
            if check is None:
                continue
            expires, critical_since = check.expires, check.critical_since
            if left is not None and not math.isinf(expires):
                expires = min(expires, now + left)
            if critical_for is not None and critical_since is not None:
                critical_since = now - max(critical_for, 0.0)
            self.checks[check_id] = replace(check, expires=expires, critical_since=critical_since)

    def apply(self, draft: Draft) -> Applied:
        """Make a draft visible, whole."""
        services, checks = draft.lasting()
        names: set[str] = set()
        for check_id in draft.checks.keys() - checks.keys():
            check = draft.checks[check_id]
            if check is not None:
                self.checks[check_id] = check
        for check_id, check in checks.items():
            before = self.checks.get(check_id)
            names |= self._names_of(before) | self._names_of(check)
            self._put_check(check_id, before, check)
        for service_id, service in services.items():
            was = self.services.get(service_id)
            names |= {put.name for put in (was, service) if put is not None}
            self._put_service(service_id, was, service)
        if services or checks:
            self.index = draft.index
        if services:
            self.services_index = draft.index
        if checks:
            self.checks_index = draft.index
        for name in names:
            if name in self._ids_of_name:
                self._name_index[name] = draft.index
            else:
                self._name_index.pop(name, None)
                self._absent_index = draft.index
        return Applied(frozenset(names), bool(services), frozenset(checks))

    def _names_of(self, check: Check | None) -> set[str]:
        """Return the services whose answer holds the check."""
        if check is None:
            return set()
        if not check.service_id:
            return set(self._ids_of_name)
        service = self.services.get(check.service_id)
        return set() if service is None else {service.name}

    def _put_service(self, service_id: str, was: Service | None, service: Service | None) -> None:
        if was is not None:
            self._ids_of_name[was.name].discard(service_id)
            if not self._ids_of_name[was.name]:
                del self._ids_of_name[was.name]
        if service is None:
            self.services.pop(service_id, None)
        else:
            self.services[service_id] = service
            self._ids_of_name[service.name].add(service_id)

    def _put_check(self, check_id: str, was: Check | None, check: Check | None) -> None:
        if was is not None:
            self._checks_of_service[was.service_id].discard(check_id)
            if not self._checks_of_service[was.service_id]:
                del self._checks_of_service[was.service_id]
        if check is None:
            self.checks.pop(check_id, None)
        else:
            self.checks[check_id] = check
            self._checks_of_service[check.service_id].add(check_id)
