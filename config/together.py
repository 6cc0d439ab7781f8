"""Which keys of one mapping go together, and which items of one list do not.

The rules take no more than what is given, so that both ask them: the models, of themselves, and references.py, of plain
data, where a mistake beside them would keep a model from asking. Both find the same sentence; an error tells it once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from config.frozen import Model
from config.units import format_duration, parse_duration

# What is given → what is wrong with that. The values are as they were written or as a model has read them.
Rule = Callable[[Mapping[str, Any]], str | None]

SOURCES = ("static", "file", "consul", "etcd", "dns", "http")
TTL_MIN, TTL_MAX = 1.0, 300.0  # seconds; what ttl_min and ttl_max are unless they are given
_ONE_SOURCE = f"one of {', '.join(SOURCES[:-1])} or {SOURCES[-1]}"


def obey(rule: Rule, part: Model) -> None:
    """Raise ValueError with what `rule` has to say of a model."""
    given = {key: getattr(part, key) for key in part.model_fields_set}
    if message := rule({key: value for key, value in given.items() if value is not None}):
        raise ValueError(message)


def one_source(given: Mapping[str, Any]) -> str | None:
    """Want exactly one of a discovery's keys."""
    kinds = [key for key in SOURCES if key in given]
    if not kinds:
        return f"must have {_ONE_SOURCE}"
    return f"has {' and '.join(kinds)}: keep {_ONE_SOURCE}" if len(kinds) > 1 else None


def one_token(given: Mapping[str, Any]) -> str | None:
    """Want at most one token for a registry, be it written as a header of its own."""
    if {"token", "token_file"} <= set(given):
        return "has both token and token_file: keep one of them"
    token = next((key for key in ("token", "token_file") if key in given), None)
    headers = given.get("headers")
    if token and isinstance(headers, Mapping) and any(str(name).lower() == "authorization" for name in headers):
        return f"has {token} and a header Authorization: keep one of them"
    return None


def one_login(given: Mapping[str, Any]) -> str | None:
    """Want a user's name and one password for etcd, or none of them."""
    if {"password", "password_file"} <= set(given):
        return "has both password and password_file: keep one of them"
    password = next((key for key in ("password", "password_file") if key in given), None)
    if "username" in given:
        return None if password else "has username alone: add password or password_file"
    return f"has {password} without username: add it" if password else None


def dns_port(given: Mapping[str, Any]) -> str | None:
    """Want a port for records that name none, and none for those that do."""
    match given.get("type", "both"):
        case "srv":
            return "has port with type srv: leave it out, for SRV records name the ports" if "port" in given else None
        case "a" | "aaaa" | "both":
            return None if "port" in given else "must have a port, for addresses come without; only type srv needs none"
    return None


def dns_ttls(given: Mapping[str, Any]) -> str | None:
    """Want the bounds of the TTL in their order."""
    try:
        least = parse_duration(given.get("ttl_min", TTL_MIN))
        most = parse_duration(given.get("ttl_max", TTL_MAX))
    except ValueError:
        return None
    if least <= most:
        return None
    return f"must have a ttl_min of at most ttl_max, not {format_duration(least)} and {format_duration(most)}"


def one_probe(given: Mapping[str, Any]) -> str | None:
    """Want exactly one kind of probe, and with tcp none of the keys of http."""
    if "http" in given:
        return "has both http and tcp: keep one" if "tcp" in given else None
    if "tcp" not in given:
        return "must have one of http and tcp"
    misplaced = [key for key in ("expect", "host") if key in given]
    return f"has {' and '.join(misplaced)} with tcp: leave out what only http probes have" if misplaced else None


def repeated(identities: Iterable[str | None]) -> Iterator[tuple[int, str]]:
    """Yield the place of each instance that an earlier one is the same as, and what is wrong; None is unknown."""
    first: dict[str, int] = {}
    for place, identity in enumerate(identities):
        if identity is not None and (earlier := first.setdefault(identity, place)) != place:
            yield place, f"must differ from item {earlier}: both are {identity}"
