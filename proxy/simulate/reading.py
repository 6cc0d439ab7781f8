"""A scenario file in, a `Scenario` out, or one ConfigError with every mistake that could be found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from balancers.policies import PolicyOptionError, UnknownPolicyError, find
from config.errors import ConfigError, KeyPath, Problem, suggest
from config.explain import explain
from config.schema import schema as schema_of
from config.service import Balancer
from config.source import read
from config.units import Int, PositiveDuration, format_duration, show
from proxy.simulate.arrivals import Rates
from proxy.simulate.world import LONGEST, MOST_ENDPOINTS, MOST_REQUESTS, NOT_SIMULATED, Arrivals, Scenario

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

T = TypeVar("T")

_DURATION: TypeAdapter[float] = TypeAdapter(PositiveDuration)
_COUNT: TypeAdapter[int] = TypeAdapter(Annotated[Int, Field(ge=1, le=MOST_REQUESTS)])
# Keys of the configuration that have a meaning for sockets only, or for what is not simulated.
_MEANINGLESS: tuple[tuple[KeyPath, tuple[str, ...]], ...] = (
    (("service",), NOT_SIMULATED),
    (("service", "timeouts"), ("body_idle", "stream_idle", "request", "upstream_keepalive")),
    (("service", "limits"), ("body",)),
    (("service", "retries"), ("buffer", "hedge_after")),
    (("service", "health"), ("panic_header",)),
    (("service", "health", "probe"), ("expect", "host", "port", "body", "method", "headers")),
)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario."""
    return schema_of(Scenario, "pointsman scenario")


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Scenario:
    """Read the scenario file at `path`. Raises ConfigError with everything that is wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(str(path), [Problem((), f"cannot be read: {error.strerror or error}")]) from error
    except UnicodeDecodeError:
        raise ConfigError(str(path), [Problem((), "not UTF-8; save the file in that encoding", line=1)]) from None
    return parse(text, name=str(path), environ=environ)


def parse(text: str, *, name: str, environ: Mapping[str, str] = os.environ) -> Scenario:
    """Read a scenario from text; errors call it `name`. Raises ConfigError with everything that is wrong."""
    source = read(text, name=name, environ=environ)
    problems = list(source.problems)
    if source.data is None and not problems:
        raise ConfigError(name, [Problem((), "empty; a scenario has at least duration, arrivals and endpoints")])
    if not isinstance(source.data, dict):
        message = f"must be a mapping with the keys duration, arrivals and endpoints, not {show(source.data)}"
        raise ConfigError(name, [*problems, Problem((), message, line=1)])
    scenario, found = _validated(source.data, source.unresolved)
    if scenario is None or problems or found:
        raise ConfigError(name, [*problems, *found], source.lines)
    return scenario


def changed(scenario: Scenario, given: Mapping[str, Any]) -> Scenario:
    """Return a scenario with what is given on the command line instead. Raises ConfigError."""
    if not given:
        return scenario
    altered, problems = _validated({**scenario.model_dump(mode="json", exclude_unset=True), **given}, ())
    if altered is None or problems:
        raise ConfigError("command line", [Problem(one.path, one.message, one.hint) for one in problems])
    return altered


def why_not(balancer: Balancer) -> str:
    """Say what is wrong with a balancer, which only those who can load it know; empty if nothing is."""
    try:
        find(balancer.type, balancer.options)
    except (UnknownPolicyError, PolicyOptionError) as error:
        return str(error)
    return ""


def _validated(data: Mapping[str, Any], unresolved: Collection[KeyPath]) -> tuple[Scenario | None, list[Problem]]:
    scenario: Scenario | None = None
    problems: list[Problem] = []
    try:
        scenario = Scenario.model_validate(data, context={"folder": Path.cwd()})
    except ValidationError as error:
        problems += explain(error, unresolved, Scenario)
    problems += _check(data)
    return scenario, problems


def _check(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong between keys, on plain data, so that a mistake in one does not hide those in another."""
    for section, keys in _MEANINGLESS:
        for key in keys:
            if key in _mapping(data, section):
                yield Problem((*section, key), "has no meaning in a simulation", "leave it out")
    for place, value in enumerate(_list(data.get("policies"))):
        balancer = _attempt(Balancer, value)
        if balancer is not None and (wrong := why_not(balancer)):
            yield Problem(("policies", place), wrong)
    yield from _check_length(data)
    yield from _check_names(data)


def _check_length(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find a scenario without an end, or with too late a one."""
    duration, warmup = _attempt(_DURATION, data.get("duration")), _attempt(_DURATION, data.get("warmup"))
    if "duration" not in data and "requests" not in data:
        yield Problem((), "must have duration or requests, which say when it ends", line=1)
    last = 0.0
    for place, change in enumerate(_list(_mapping(data, ("arrivals",)).get("changes"))):
        if not isinstance(change, dict):
            continue
        at, over = _attempt(_DURATION, change.get("at")), _attempt(_DURATION, change.get("over"))
        if at is not None and at < last:
            path = ("arrivals", "changes", place, "at")
            yield Problem(path, f"must not come before the change above it is over, at {format_duration(last)}")
        last = max(last, (at or 0.0) + (over or 0.0))
    arrivals = _attempt(Arrivals, data.get("arrivals"))
    if arrivals is None:
        return
    rates = Rates(arrivals)
    count = _attempt(_COUNT, data.get("requests"))
    end = rates.end(duration, count) if duration is not None or count is not None else None
    if count is not None and duration is None and end is None:
        yield Problem(("arrivals",), f"must bring {count} requests in the end: its last rate is 0")
    if duration is not None and count is None and rates.count(duration) > MOST_REQUESTS:
        text = f"must bring {MOST_REQUESTS} requests at most, not {rates.count(duration):.0f}"
        yield Problem(("arrivals",), text, "shorten the duration, or give requests")
    if duration is not None and rates.count(duration) < 1:
        yield Problem(("arrivals",), "must bring at least one request within the duration")
    if end is not None and end > LONGEST:
        key = "duration" if end == duration else "requests"
        yield Problem(
            (key,), f"must be over within {format_duration(LONGEST)}, not after {format_duration(round(end))}"
        )
    if warmup and end and warmup >= end:
        yield Problem(("warmup",), f"must be over before the end, at {format_duration(round(end, 3))}")


def _check_names(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find endpoints that are not there, or twice."""
    groups = _mapping(data, ("endpoints",))
    if isinstance(data.get("endpoints"), dict) and not groups:
        yield Problem(("endpoints",), "must have at least one endpoint")
    owners: dict[str, str] = {}
    for name, group in groups.items():
        count = group.get("count", 1) if isinstance(group, dict) else 1
        for one in names_of(name, count if isinstance(count, int) and count <= MOST_ENDPOINTS else 1):
            other = owners.setdefault(one, name)
            if other != name:
                yield Problem(("endpoints", name), f"has an endpoint of the same name as {other}: {one}")
                break
    if len(owners) > MOST_ENDPOINTS:
        yield Problem(("endpoints",), f"must be {MOST_ENDPOINTS} endpoints at most, not {len(owners)}")
    known = {*groups, *owners}
    for key in ("events", "rollouts"):
        for place, one in enumerate(_list(data.get(key))):
            named = one.get("endpoints") if isinstance(one, dict) else None
            for name in [named] if isinstance(named, str) else _list(named):
                if groups and isinstance(name, str) and name not in known:
                    hint = suggest(name, known if len(known) < 50 else groups, "there are")
                    yield Problem((key, place, "endpoints"), f"there is no {show(name)} under endpoints", hint)


def names_of(group: str, count: int) -> list[str]:
    """Return the names of a group's endpoints."""
    return [group] if count == 1 else [f"{group}-{number}" for number in range(1, count + 1)]


def _mapping(data: Mapping[str, Any], path: KeyPath) -> Mapping[str, Any]:
    value: Any = data
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _attempt(form: type[T] | TypeAdapter[T], value: Any) -> T | None:
    """Read a value, or pass it over: the model tells what is wrong with it."""
    adapter = form if isinstance(form, TypeAdapter) else TypeAdapter(form)
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None
