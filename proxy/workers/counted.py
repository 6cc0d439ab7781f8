"""What is counted of the data path, and where: one table of the counters and gauges of each kind of object.

A worker reads the numbers from its objects, the control process writes totals into its own, which nobody else counts
in there: it serves nobody. So metrics and the admin API read the same objects in either case. What is not in the table
is the control process's own and the same in all workers: health, panic and ejections, membership and discovery,
weights, catalogs, reloads, takeovers, certificates and their files, files of users.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from proxy.counters import LATENCY_BOUNDS
from proxy.http.copies import DROPPED, FAILED
from proxy.proxied import RESULTS as PROXY_HEADERS
from proxy.tcp.counts import DURATION_BOUNDS, REASONS
from proxy.tls.handshakes import RESULTS as HANDSHAKES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from proxy.access_log.access_log import AccessLog
    from proxy.assemble.guards import Guards
    from proxy.catalogs import Catalogs
    from proxy.listener import Listener
    from proxy.service import Service
    from proxy.splits import Split
    from proxy.tcp.listener import TcpListener

# What a number belongs to: the kind of an object, and the names that say which one.
Key = tuple[str, ...]
Values = tuple[float, ...]


class Served(Protocol):
    """What is counted: an application, or the part of one that a worker has."""

    @property
    def services(self) -> Mapping[str, Service]: ...
    @property
    def listeners(self) -> Sequence[Listener | TcpListener]: ...
    @property
    def departing(self) -> Sequence[tuple[Listener | TcpListener, float]]: ...
    @property
    def splits(self) -> Mapping[str, Split]: ...
    @property
    def access_log(self) -> AccessLog | None: ...
    @property
    def guards(self) -> Guards: ...
    @property
    def catalogs(self) -> Catalogs: ...


class Fields:
    """The numbers that one kind of object has, in an order: gauges first, then counters.

    Gauges are what is at present, and end with the process that counts them; counters only grow, and stay. Of `lists`
    and `mappings`, with the keys that they may have, every element is a counter. Those named in `elsewhere` are worked
    out by the object that counts them, which has a number of its own for what others count: `clients` and
    `clients_elsewhere`.
    """

    def __init__(
        self,
        *,
        gauges: Sequence[str] = (),
        counters: Sequence[str] = (),
        lists: Mapping[str, int] | None = None,
        mappings: Mapping[str, Sequence[str]] | None = None,
        elsewhere: Collection[str] = (),
    ) -> None:
        names = (*gauges, *counters)
        self.gauges = len(gauges)
        self.count = len(names) + sum((lists or {}).values()) + sum(map(len, (mappings or {}).values()))
        self.names = names
        self.scalars: Callable[[Any], Any] = attrgetter(*names) if names else lambda one: ()
        self._single = len(names) == 1
        self._written = [f"{name}_elsewhere" if name in elsewhere else name for name in names]
        self._lists = tuple((lists or {}).items())
        self._mappings = tuple((mappings or {}).items())

    def place(self, name: str) -> slice:
        """Say where in the numbers an attribute is that is no mapping."""
        if name in self.names:
            return slice(self.names.index(name), self.names.index(name) + 1)
        start = len(self.names)
        for other, length in self._lists:
            if other == name:
                return slice(start, start + length)
            start += length
        raise KeyError(name)

    def read(self, one: Any) -> Values:
        """Return the numbers of an object."""
        values: Values = (self.scalars(one),) if self._single else self.scalars(one)
        for name, _ in self._lists:
            values = (*values, *getattr(one, name))
        for name, keys in self._mappings:
            found = getattr(one, name)
            values = (*values, *[found[key] for key in keys])
        return values

    def write(self, one: Any, values: Sequence[float]) -> None:
        """Put numbers into an object. A key that is not in a mapping, and counts nothing, is not put there."""
        for name, value in zip(self._written, values, strict=False):
            setattr(one, name, value)
        place = len(self.names)
        for name, length in self._lists:
            getattr(one, name)[:] = values[place : place + length]
            place += length
        for name, keys in self._mappings:
            found = getattr(one, name)
            for key, value in zip(keys, values[place:], strict=False):
                if value or key in found:
                    found[key] = value
            place += len(keys)


_REFUSED = Fields(counters=("refused",))

KINDS = {
    "service": Fields(
        gauges=("in_flight", "tunnels"),
        counters=(
            "tunnel_bytes_in", "tunnel_bytes_out", "hedges", "abandoned", "broken", "retries", "latency_sum",
        ),
        lists={"by_class": 6, "latency": len(LATENCY_BOUNDS) + 1},
    ),
    "budget": Fields(counters=("exhausted",)),
    "places": Fields(gauges=("waiting",), counters=("refused",), elsewhere=("waiting",)),
    "copies": Fields(
        gauges=("in_flight",),
        counters=("sent",),
        mappings={"dropped": DROPPED, "failed": FAILED},
        elsewhere=("in_flight",),
    ),
    "raw": Fields(
        gauges=("open",),
        counters=("begun", "bytes_in", "bytes_out", "durations_sum"),
        lists={"durations": len(DURATION_BOUNDS) + 1},
        mappings={"failures": REASONS},
    ),
    "endpoint": Fields(
        gauges=("in_flight",),
        counters=("requests", "connect_failures", "broken", "timeouts", "malformed", "server_errors"),
    ),
    "connections": Fields(gauges=("open", "idle"), elsewhere=("idle",)),
    "endpoint_raw": Fields(gauges=("open",), counters=("begun", "bytes_in", "bytes_out")),
    "listener": Fields(
        gauges=("clients",),
        counters=("accepted", "refused", "overflowed", "exhausted"),
        lists={"answered": 6},
        elsewhere=("clients", "exhausted"),
    ),
    "handshakes": Fields(mappings={"results": HANDSHAKES}),
    "proxied": Fields(mappings={"results": PROXY_HEADERS}),
    "split": Fields(counters=("count",)),
    "access_log": Fields(
        counters=("written", "dropped", "failed"), elsewhere=("written", "dropped", "failed")
    ),
    "access": _REFUSED,
    "limits": Fields(gauges=("known",), counters=("refused",), elsewhere=("known",)),
    "basic_auth": _REFUSED,
    "forward_auth": Fields(counters=("passed", "refused", "failed")),
    "users_file": Fields(counters=("checked",)),
}  # fmt: skip


class _Share:
    """How often one service of a split was chosen; each is a key of its own, for a reload may add services."""

    __slots__ = ("_name", "_requests")

    def __init__(self, requests: dict[str, int], name: str) -> None:
        self._requests = requests
        self._name = name

    @property
    def count(self) -> int:
        return self._requests[self._name]

    @count.setter
    def count(self, number: int) -> None:
        self._requests[self._name] = number


def services_of(served: Served) -> list[Service]:
    """List the services, and those that are leaving until their last request is done.

    One that is leaving while another one has its name is left out: it could not be told from that.
    """
    leaving = {service.name: service for service in served.catalogs.leaving if service.name not in served.services}
    return [*served.services.values(), *leaving.values()]


def counted(served: Served) -> Iterator[tuple[Key, Any]]:
    """Yield the objects that count, with their keys, but for the traffic, budgets and endpoints of services.

    Of those there may be thousands: see tally.py. Two listeners that asked for any port of an address are told from
    one another by their order, as in a reload.
    """
    for name, service in served.services.items():
        if service.copies.wanted:
            yield ("copies", name), service.copies
        if service.places is not None:
            yield ("places", name), service.places
        if service.traffic.raw is not None:
            yield ("raw", name), service.traffic.raw
    binds: dict[str, int] = {}
    for listener in served.listeners:
        bind = str(listener.bind)
        number = binds[bind] = binds.get(bind, 0) + 1
        names = (bind, str(number))
        yield ("listener", *names), listener
        if listener.handshakes is not None:
            yield ("handshakes", *names), listener.handshakes
        if listener.proxied is not None:
            yield ("proxied", *names), listener.proxied
    for name, split in served.splits.items():
        for service_name in split.requests:
            yield ("split", name, service_name), _Share(split.requests, service_name)
    if served.access_log is not None:
        yield ("access_log",), served.access_log
    yield from _of_guards(served.guards)


def _of_guards(guards: Guards) -> Iterator[tuple[Key, Any]]:
    """Yield what guards count. What is asked of one is its name, for several may be of one host and path."""
    for asked, (_, access, limits) in guards.of_listeners.items():
        if access is not None:
            yield ("access", "listener", asked), access
        if limits is not None:
            yield ("limits", "listener", asked), limits
    for asked, guard in guards.of_routes.items():
        if guard.access is not None:
            yield ("access", "route", asked), guard.access
        if guard.limits is not None:
            yield ("limits", "route", asked), guard.limits
        if guard.basic is not None:
            yield ("basic_auth", asked), guard.basic
        if guard.forward is not None:
            yield ("forward_auth", asked), guard.forward
    for path, file in guards.files.items():
        yield ("users_file", str(path)), file
