"""What has to be done to go from one configuration to another while requests are under way: a decision, and no deed.

`plan_of` compares two of them and returns a `Plan`, which reloading.py carries out. What each key asks for stands in
the tables below; README.md shows them, and a test keeps both the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.assemble.acme import domains_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from config.errors import KeyPath
    from config.frozen import Model
    from config.listener import Listener
    from config.model import Config
    from config.units import Bind
    from proxy.referred import Files

Speech = tuple["Bind", bool, bool]  # an address, whether TLS is spoken there, and whether all else is left as it is

# The parts of a service that are made anew, each by itself.
FEED = "feed"  # its keepers; the set in force stays until they have answered
POOL = "pool"  # who may be picked, and when somebody is ejected; what is known of each endpoint stays
BALANCER = "balancer"  # who of them is picked
PROBES = "probes"  # the checks of its instances; the outcome of the last ones stays
CONNECTIONS = "connections"  # those to its instances; requests under way end on the ones that they have
TERMS = "terms"  # numbers that the next request goes by

RESTART = "restart"  # cannot change while the process runs
LIVE = "live"

SERVICE: dict[str, frozenset[str]] = {
    "discovery": frozenset([FEED]),
    "guard": frozenset([FEED]),
    "balancer": frozenset([POOL, BALANCER]),
    "sticky": frozenset([POOL]),
    "slow_start": frozenset([POOL]),
    "zones": frozenset([POOL]),
    "subset": frozenset([POOL]),
    "overrides": frozenset([TERMS]),
    "health": frozenset([POOL]),  # and more where its probe has changed
    "timeouts": frozenset([TERMS]),
    "limits": frozenset([TERMS]),
    "retries": frozenset([TERMS]),
    "request_headers": frozenset([TERMS]),
    "response_headers": frozenset([TERMS]),
    "tls": frozenset([CONNECTIONS, PROBES]),
    "proxy_protocol": frozenset([CONNECTIONS, PROBES]),
}
EVERYTHING = frozenset([FEED, POOL, BALANCER, PROBES, CONNECTIONS, TERMS])  # for a key that is not in the table

LISTENER: dict[str, str] = dict.fromkeys(
    (
        "bind",
        "timeouts",
        "limits",
        "trusted_proxies",
        "forwarded",
        "allow_connect",
        "allow_trace",
        "request_headers",
        "response_headers",
        "allow",
        "deny",
        "rate_limit",
        "tls",
        "proxy_protocol",
        "mode",
        "tcp",
    ),
    LIVE,
)

TOP: dict[str, str] = {
    "listeners": LIVE,
    "routes": LIVE,
    "splits": LIVE,
    "services": LIVE,
    "catalogs": RESTART,
    "registry": RESTART,
    "register": RESTART,
    "admin": RESTART,
    "state_dir": RESTART,
    "state_max_age": RESTART,
    "log": LIVE,
    "access_log": LIVE,
    "timeouts": LIVE,
    "limits": LIVE,
    "retries": LIVE,
    "trusted_proxies": LIVE,
    "forwarded": LIVE,
    "request_id": LIVE,
    "ready_from_state": LIVE,
    "drain_timeout": LIVE,
    "takeover": RESTART,
    "workers": RESTART,
    "reload": LIVE,
    "acme": LIVE,
}
_OF_ALL_SERVICES = ("timeouts", "limits", "retries", "ready_from_state")
_OF_ALL_LISTENERS = (
    "timeouts", "limits", "retries", "trusted_proxies", "forwarded", "request_id", "access_log", "acme",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. Listeners are known by their places in the two configurations, services by their names.

    `blocked` are keys that have changed and cannot while the process runs: with one of them nothing is done. `keys`
    says for people what has changed. `kept` are the listeners whose address stays, as pairs of places before and after,
    and `renewed` are those of them, by the place after, that treat their clients differently from now on.
    `changed` has, for each service that is to be another one under the same name, the parts that are made anew.
    """

    blocked: tuple[str, ...]
    keys: tuple[str, ...]
    kept: tuple[tuple[int, int], ...]
    renewed: frozenset[int]
    bound: tuple[int, ...]
    unbound: tuple[int, ...]
    same: tuple[str, ...]
    changed: tuple[tuple[str, frozenset[str]], ...]
    made: tuple[str, ...]
    ended: tuple[str, ...]
    access_log: bool
    log: bool
    catalogs: bool
    acme: bool

    @property
    def is_empty(self) -> bool:
        """True when nothing has changed."""
        return not self.keys


def plan_of(before: Config, after: Config, files_before: Files | None = None, files_after: Files | None = None) -> Plan:
    """Compare two configurations, and what the files hold that they refer to."""
    old, new = files_before or {}, files_after or {}
    top = {_as_written(key) for key in _different(before, after)}
    refilled = {path for path in old.keys() & new.keys() if old[path] != new[path]}
    touched = {str(path[0]) for path in refilled}
    kept, bound, unbound = _paired(*([_speech(one) for one in config.listeners] for config in (before, after)))
    of_all = bool(top.intersection(_OF_ALL_LISTENERS))
    renewed = frozenset(
        there
        for here, there in kept
        if of_all or before.listeners[here] != after.listeners[there] or _below(refilled, "listeners", there)
    )
    changed = tuple(_changed_services(before, after, top, refilled))
    names = {name for name, _ in changed}
    return Plan(
        blocked=tuple(sorted(key for key in top | touched if TOP.get(key, RESTART) == RESTART)),
        keys=tuple(_told(before, after, top, refilled, kept, bound, unbound)),
        kept=kept,
        renewed=renewed,
        bound=bound,
        unbound=unbound,
        same=tuple(name for name in before.services if name in after.services and name not in names),
        changed=changed,
        made=tuple(name for name in after.services if name not in before.services),
        ended=tuple(name for name in before.services if name not in after.services),
        access_log="access_log" in top,
        log="log" in top,
        catalogs=bool(top.intersection(_OF_ALL_SERVICES)),
        acme="acme" in top or domains_of(before) != domains_of(after),
    )


def _as_written(key: str) -> str:
    return "register" if key == "to_register" else key


def _speech(listener: Listener) -> Speech:
    """Return what a listener is known by: who is connected to it would not understand another one."""
    return listener.bind, listener.tls is not None, listener.tcp is not None


def _paired(
    before: list[Speech], after: list[Speech]
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...], tuple[int, ...]]:
    """Pair the listeners of the same address; of several that asked for any port the first with the first."""
    places: dict[tuple[Speech, int], int] = {}
    seen: Counter[Speech] = Counter()
    for place, bind in enumerate(before):
        places[bind, seen[bind]] = place
        seen[bind] += 1
    kept, bound = [], []
    seen.clear()
    for place, bind in enumerate(after):
        found = places.pop((bind, seen[bind]), None)
        seen[bind] += 1
        if found is None:
            bound.append(place)
        else:
            kept.append((found, place))
    return tuple(kept), tuple(bound), tuple(sorted(places.values()))


def _changed_services(
    before: Config, after: Config, top: set[str], refilled: set[KeyPath]
) -> Iterator[tuple[str, frozenset[str]]]:
    of_all = {TERMS} if top.intersection(_OF_ALL_SERVICES) else set()
    for name, was in before.services.items():
        will = after.services.get(name)
        if will is None:
            continue
        parts: set[str] = set(of_all)
        for key in _different(was, will):
            parts |= SERVICE.get(key, EVERYTHING)
        if was.health.probe != will.health.probe:
            parts.add(PROBES)
            if (was.health.probe is None) is not (will.health.probe is None):
                parts.add(FEED)  # whose guard asks the probes
        if _below(refilled, "services", name):
            parts |= EVERYTHING
        if parts:
            yield name, frozenset(parts)


def _different(was: Model, will: Model) -> list[str]:
    return [key for key in type(will).model_fields if getattr(was, key) != getattr(will, key)]


def _below(paths: Iterable[KeyPath], *start: str | int) -> bool:
    return any(path[: len(start)] == start for path in paths)


def _told(
    before: Config,
    after: Config,
    top: set[str],
    refilled: set[KeyPath],
    kept: Iterable[tuple[int, int]],
    bound: Iterable[int],
    unbound: Iterable[int],
) -> Iterator[str]:
    """Say what has changed, a part at a time."""
    for place in unbound:
        yield f"listener {before.listeners[place].bind} is gone"
    for place in bound:
        yield f"listener {after.listeners[place].bind} is new"
    for here, there in kept:
        for key in _different(before.listeners[here], after.listeners[there]):
            yield f"listener {after.listeners[there].bind}: {key}"
    for name, was in before.services.items():
        if name not in after.services:
            yield f"service {name} is gone"
        else:
            for key in _different(was, after.services[name]):
                yield f"service {name}: {key}"
    for name in after.services:
        if name not in before.services:
            yield f"service {name} is new"
    order = [listener.bind for listener in before.listeners] != [listener.bind for listener in after.listeners]
    if "listeners" in top and order and not (list(bound) or list(unbound)):
        yield "the order of the listeners"
    if list(before.services) != list(after.services) and before.services.keys() == after.services.keys():
        yield "the order of the services"
    yield from sorted(top - {"listeners", "services"})
    for path in sorted(refilled, key=str):
        yield f"what the file of {'.'.join(map(str, path))} holds"


def described(table: Mapping[str, object]) -> dict[str, bool]:
    """Return for each key of a table whether it can change while the process runs."""
    return {key: how != RESTART for key, how in table.items()}
