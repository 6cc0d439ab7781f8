"""What workers have counted, told by each of them, and summed up where it is shown.

A worker tells numbers, not differences: what was forgotten, or comes late, the next report puts right. A total is what
the living have counted and what the dead had, so that it never falls when one of them ends.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, compress, count, repeat
from operator import add, attrgetter, lt, ne, sub
from typing import TYPE_CHECKING, Any

from proxy.tcp.counts import Counts
from proxy.workers.counted import KINDS, counted, services_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from balancers.endpoint import Endpoint
    from proxy.http.connections import Connections
    from proxy.service import Service
    from proxy.workers.counted import Key, Served, Values

    Column = Callable[[Iterable[Any]], list[Any]]
    Name = tuple[str, str, str]  # of an endpoint: its service, its identity and its address

OF_ENDPOINTS = ("endpoint", "connections", "endpoint_raw")  # kinds
_ANSWERED = KINDS["service"].place("by_class")
_BEGUN = KINDS["raw"].place("begun")


def read(served: Served) -> dict[Key, Values]:
    """Return all numbers, those of what has counted nothing yet too."""
    return {key: KINDS[key[0]].read(one) for key, one in objects_of(served).items()}


def objects_of(served: Served) -> dict[Key, Any]:
    """Return all objects that count."""
    found = _all_but_endpoints(served)
    for service in served.services.values():
        members = _Members()
        members.follow(service)
        for name, (endpoint, connections) in members.places.items():
            found["endpoint", *name] = endpoint
            if connections is not None:
                found["connections", *name] = connections
                if connections.raw is not None:
                    found["endpoint_raw", *name] = connections.raw
    return found


def _all_but_endpoints(served: Served) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for service in services_of(served):
        found["service", service.name] = service.traffic
        found["budget", service.name] = service.budget
    found.update(counted(served))
    return found


# What is looked at of many objects of a kind to find those of which something is to be told: as much as has changed
# when anything has. To look at every number takes nearly three times as long. An endpoint's failures are counted while
# the request is in flight, so they are told when it ends at the latest.


def _column(get: Callable[[Any], Any]) -> Column:
    return lambda objects: list(map(get, objects))


def _idle(objects: Iterable[Any]) -> list[int]:
    return list(map(len, map(attrgetter("_idle"), objects)))  # half of the time that the property takes


def _answered(objects: Iterable[Any]) -> list[Values]:
    return list(map(tuple, map(attrgetter("by_class"), objects)))


def _whole(kind: str) -> tuple[Column, Any]:
    return _column(KINDS[kind].scalars), (0,) * len(KINDS[kind].names)


_SIGNS: dict[str, tuple[tuple[Column, Any], ...]] = {  # with what each is of one that has counted nothing
    "service": (_whole("service"), (_answered, (0,) * 6)),
    "budget": ((_column(attrgetter("exhausted")), 0),),
    "endpoint": ((_column(attrgetter("requests")), 0), (_column(attrgetter("in_flight")), 0)),
    "connections": ((_column(attrgetter("open")), 0), (_idle, 0)),
    "endpoint_raw": (_whole("endpoint_raw"),),
}


class _Row:
    """All objects of one kind, and how they were when somebody was told of them."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._objects: Sequence[Any] = []
        self._services: Sequence[str] = []
        self._endpoints: Sequence[Endpoint] = []
        self._columns: list[list[Any]] = [[] for _ in _SIGNS[kind]]

    def news(
        self,
        changed: dict[Key, Values],
        gone: list[Key],
        objects: Sequence[Any],
        services: Sequence[str],
        endpoints: Sequence[Endpoint] = (),
    ) -> None:
        """Add what is to be told of these, which are all that there are.

        Each is of the service and, for a kind that endpoints have, of the endpoint at its place in the other lists.
        """
        if objects != self._objects:
            self._follow(gone, objects)
            self._objects, self._services, self._endpoints = objects, services, endpoints
        columns = [column(objects) for column, _ in _SIGNS[self._kind]]
        if columns == self._columns:
            return
        read = KINDS[self._kind].read
        pairs = zip(self._columns, columns, strict=True)
        for place in {place for before, now in pairs for place in compress(count(), map(ne, before, now))}:
            changed[self._key(place)] = read(objects[place])
        self._columns = columns

    def _follow(self, gone: list[Key], objects: Sequence[Any]) -> None:
        """Put what was told of each to its new place. What has the name of another one begins anew."""
        places = {id(one): place for place, one in enumerate(self._objects)}
        found = [places.pop(id(one), None) for one in objects]
        gone.extend(map(self._key, places.values()))
        self._columns = [
            [nothing if place is None else column[place] for place in found]
            for column, (_, nothing) in zip(self._columns, _SIGNS[self._kind], strict=True)
        ]

    def _key(self, place: int) -> Key:
        if not self._endpoints:
            return self._kind, self._services[place]
        instance = self._endpoints[place].instance
        return self._kind, self._services[place], instance.id, instance.authority


class Reporter:
    """Says in a worker what has changed since it was last asked, and what is no more."""

    def __init__(self) -> None:
        self._told: dict[Key, Values] = {}
        self._rows = {kind: _Row(kind) for kind in _SIGNS}

    def forget(self) -> None:
        """Tell everything anew: who was told before has gone."""
        self._told, self._rows = {}, {kind: _Row(kind) for kind in _SIGNS}

    def report(self, served: Served) -> tuple[dict[Key, Values], tuple[Key, ...]]:
        """Return the numbers that have changed, and the keys that are no more, or begin anew among those changed.

        What has counted nothing yet is left out. While nothing happens it takes some 2 ms for 10,000 endpoints.
        """
        before, self._told = self._told, {}
        changed: dict[Key, Values] = {}
        for key, one in counted(served):
            values = self._told[key] = KINDS[key[0]].read(one)
            told = before.pop(key, None)
            if values != told and (told is not None or any(values)):
                changed[key] = values
        gone = list(before)
        services = services_of(served)
        names = [service.name for service in services]
        rows = self._rows
        rows["service"].news(changed, gone, [service.traffic for service in services], names)
        rows["budget"].news(changed, gone, [service.budget for service in services], names)
        here = list(served.services.values())
        groups = [service.connections for service in here]
        endpoints = list(chain.from_iterable(groups))
        connections = list(chain.from_iterable(group.values() for group in groups))
        names = list(chain.from_iterable(map(repeat, served.services, map(len, groups))))
        rows["connections"].news(changed, gone, connections, names, endpoints)
        self._report_raw(changed, gone, [service for service in here if service.traffic.raw is not None])
        for service in here:
            if away := service.pool.drains.away:
                endpoints = [*endpoints, *away.values()]
                names = [*names, *[service.name] * len(away)]
        rows["endpoint"].news(changed, gone, endpoints, names, endpoints)
        return changed, tuple(gone)

    def _report_raw(self, changed: dict[Key, Values], gone: list[Key], services: Iterable[Service]) -> None:
        found = [
            (one.raw, service.name, endpoint)
            for service in services
            for endpoint, one in service.connections.items()
            if one.raw is not None
        ]
        names = [name for _, name, _ in found]
        endpoints = [endpoint for *_, endpoint in found]
        self._rows["endpoint_raw"].news(changed, gone, [raw for raw, *_ in found], names, endpoints)


class _Members:
    """The endpoints of a service, as they were at the last look, and their connections.

    Those that an operator has drained and that have left are among them, for as long as they are remembered; they have
    no connections.
    """

    __slots__ = ("_connections", "_endpoints", "places")

    def __init__(self) -> None:
        self._endpoints: list[Endpoint] = []
        self._connections: list[Connections] = []
        self.places: dict[Name, tuple[Endpoint, Connections | None]] = {}

    def follow(self, service: Service) -> bool:
        """Look who is there; tell whether they are others than before, or have other connections."""
        endpoints, connections = list(service.connections), list(service.connections.values())
        if service.pool.drains.away:
            endpoints += service.pool.drains.away.values()
        if endpoints == self._endpoints and connections == self._connections:
            return False
        self._endpoints, self._connections = endpoints, connections
        self.places = {
            (service.name, one.instance.id, one.instance.authority): (one, service.connections.get(one))
            for one in endpoints
        }
        return True


class Totals:
    """Sums up in the control process what its workers report.

    Counters stay when a worker ends, or makes an object anew; gauges end with it. What the control process does not
    know (an endpoint that has left, a service that is no more) is forgotten, so that totals have the size of what is
    there. `requests` has for each worker, by its number, how many requests it and those before it at its place have
    answered, and how many raw connections they have begun.
    """

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self._totals: dict[Key, list[float]] = {}
        self._of: dict[int, dict[Key, Values]] = {}  # what each of the living told last
        self._changed: set[Key] = set()  # since they were written
        self._written: dict[Key, Any] = {}  # the objects that there were then, without endpoints
        self._members: dict[str, _Members] = {}  # and the endpoints

    def reported(self, worker: int, changed: Mapping[Key, Values], gone: Iterable[Key]) -> None:
        """Take in a report."""
        of_worker = self._of.setdefault(worker, {})
        for key in gone:
            told = of_worker.pop(key, None)
            if told is not None:
                self._end(key, told)
        for key, values in changed.items():
            gauges = KINDS[key[0]].gauges
            told = of_worker.get(key) or (0,) * len(values)
            if any(map(lt, values[gauges:], told[gauges:])):  # it was made anew, and counts from nothing
                told = (*told[:gauges], *(0,) * (len(values) - gauges))
            of_worker[key] = values
            more = list(map(sub, values, told))
            total = self._totals.get(key)
            self._totals[key] = more if total is None else list(map(add, total, more))
            self._changed.add(key)
            if key[0] == "service":
                self.requests[worker] += int(sum(more[_ANSWERED]))
            elif key[0] == "raw":
                self.requests[worker] += int(sum(more[_BEGUN]))

    def ended(self, worker: int) -> None:
        """Take note that a worker is no more; the next one may have its number."""
        for key, told in self._of.pop(worker, {}).items():
            self._end(key, told)

    def _end(self, key: Key, told: Values) -> None:
        """Take out the gauges that were told of a key."""
        gauges = KINDS[key[0]].gauges
        total = self._totals.get(key)
        if gauges and total is not None:
            total[:gauges] = map(sub, total[:gauges], told)
            self._changed.add(key)

    def _forget(self, key: Key) -> None:
        if self._totals.pop(key, None) is not None:
            for of_worker in self._of.values():
                of_worker.pop(key, None)

    def write(self, served: Served) -> None:
        """Put the totals where metrics and the admin API look: into the objects of the control process."""
        changed, self._changed = self._changed, set()
        objects = _all_but_endpoints(served)
        for key, one in objects.items():
            if key in changed or self._written.get(key) is not one:
                self._write(key, one)
        unknown = self._written.keys() - objects.keys()
        self._written = objects
        for service in served.catalogs.leaving:
            if objects["service", service.name] is not service.traffic:
                service.traffic.in_flight = 0  # another one of its name has come, and it cannot be told from that
        for listener, _ in served.departing:
            listener.clients_elsewhere = 0  # each worker waits for its own
        unknown |= self._write_endpoints(served.services, changed)
        unknown |= {key for key in changed if key[0] not in OF_ENDPOINTS and key not in objects}
        for key in unknown:
            self._forget(key)

    def _write(self, key: Key, one: Any) -> None:
        total = self._totals.get(key)
        if total is not None:
            KINDS[key[0]].write(one, total)

    def _write_endpoints(self, services: Mapping[str, Service], changed: set[Key]) -> set[Key]:
        """Put totals into endpoints; return the keys of those that are not there."""
        unknown: set[Key] = set()
        for service_name in self._members.keys() - services.keys():
            unknown.update(_keys(self._members.pop(service_name).places))
        for service_name, service in services.items():
            members = self._members.get(service_name)
            if members is None:
                members = self._members[service_name] = _Members()
            before = members.places
            if not members.follow(service):
                continue
            unknown.update(_keys(before.keys() - members.places.keys()))
            for key in _keys(members.places):
                self._write_endpoint(key, *members.places[key[1], key[2], key[3]])
        for key in changed:
            if key[0] in OF_ENDPOINTS:
                _, service_name, identity, address = key
                members = self._members.get(service_name)
                place = members.places.get((service_name, identity, address)) if members is not None else None
                if place is None:
                    unknown.add(key)
                else:
                    self._write_endpoint(key, *place)
        return unknown

    def _write_endpoint(self, key: Key, endpoint: Endpoint, connections: Connections | None) -> None:
        if key[0] == "endpoint":
            self._write(key, endpoint)
        elif connections is not None and key in self._totals:
            if key[0] == "endpoint_raw" and connections.raw is None:
                connections.raw = Counts()
            self._write(key, connections if key[0] == "connections" else connections.raw)


def _keys(names: Iterable[Name]) -> Iterator[Key]:
    for name in names:
        for kind in OF_ENDPOINTS:
            yield (kind, *name)
