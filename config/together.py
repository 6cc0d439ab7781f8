"""Rules that more than one part of the configuration has: which of its keys go together, which items must differ."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


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
    """Want a user's name and one password, or none of them."""
    if {"password", "password_file"} <= set(given):
        return "has both password and password_file: keep one of them"
    password = next((key for key in ("password", "password_file") if key in given), None)
    if "username" in given:
        return None if password else "has username alone: add password or password_file"
    return f"has {password} without username: add it" if password else None


def one_port(given: Mapping[str, Any]) -> str | None:
    """Want a port by its name or by its place."""
    both = {"port_name", "port_index"} <= set(given)
    return "has both port_name and port_index: keep one of them" if both else None


def repeated(identities: Iterable[str | None]) -> Iterator[tuple[int, str]]:
    """Yield the place of each instance that an earlier one is the same as, and what is wrong; None is unknown."""
    first: dict[str, int] = {}
    for place, identity in enumerate(identities):
        if identity is not None and (earlier := first.setdefault(identity, place)) != place:
            yield place, f"must differ from item {earlier}: both are {identity}"
