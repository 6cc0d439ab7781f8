"""Read the rule of a Traefik router as far as our routes can say the same: Host, Path, PathPrefix, &&, || and brackets.

The language: https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from discovery.consul.wishes import RefusedError, read_host, read_path

DEEPEST = 16  # brackets within brackets
MOST = 64  # routes that one rule may stand for

_TOKEN = re.compile(r'\s*(?:(&&|\|\||[!(),])|([A-Za-z]+)|`([^`]*)`|"((?:[^"\\])*)")')


@dataclass(frozen=True, slots=True)
class Match:
    """A host and a path to compare with, as in a Wish."""

    host: str = ""
    path: str = ""
    exact: bool = False


def read_rule(rule: str) -> list[Match]:
    """Return the matches, one of which a request must meet; raise RefusedError when routes cannot say it."""
    reader = _Reader(_tokens(rule))
    matches = reader.either(0)
    if reader.kind:
        raise RefusedError(f"{reader.text!r} is not expected there")
    if not matches:
        raise RefusedError("no request can meet it")
    return list(dict.fromkeys(matches))


def _tokens(rule: str) -> list[tuple[str, str]]:
    """Split a rule into signs, names and texts."""
    tokens: list[tuple[str, str]] = []
    place, end = 0, len(rule.rstrip())
    while place < end:
        found = _TOKEN.match(rule, place)
        if found is None:
            raise RefusedError(f"what follows {rule[:place]!r} makes no sense")
        sign, name, raw, quoted = found.groups()
        if sign:
            tokens.append((sign, sign))
        elif name:
            tokens.append(("name", name))
        else:
            tokens.append(("text", quoted if raw is None else raw))
        place = found.end()
    return tokens


class _Reader:
    """Reads by descent. Each method returns what it read as a list of matches, one of which must be met."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = iter([*tokens, ("", "the end")])
        self.kind, self.text = next(self._tokens)

    def either(self, depth: int) -> list[Match]:
        matches = self._all(depth)
        while self._taken("||"):
            matches += self._all(depth)
            if len(matches) > MOST:
                raise RefusedError(f"it stands for more than {MOST} routes")
        return matches

    def _all(self, depth: int) -> list[Match]:
        matches = self._one(depth)
        while self._taken("&&"):
            others = self._one(depth)
            if len(matches) * len(others) > MOST:
                raise RefusedError(f"it stands for more than {MOST} routes")
            both = (_both(match, other) for match in matches for other in others)
            matches = list(dict.fromkeys(match for match in both if match is not None))
        return matches

    def _one(self, depth: int) -> list[Match]:
        if self.kind == "!":
            raise RefusedError("'!' is not supported")
        if self._taken("("):
            if depth == DEEPEST:
                raise RefusedError(f"it has more than {DEEPEST} brackets within brackets")
            matches = self.either(depth + 1)
            self._want(")")
            return matches
        name = self._want("name")
        self._want("(")
        values = [self._want("text")]
        while self._taken(","):  # in Traefik 2: one of them
            values.append(self._want("text"))
        self._want(")")
        if len(values) > MOST:
            raise RefusedError(f"it stands for more than {MOST} routes")
        match name.lower():
            case "host":
                return [Match(host=_host(value)) for value in values]
            case "pathprefix":
                return [Match(path="" if value == "/" else _path(value)) for value in values]
            case "path":
                return [Match(path=_path(value), exact=True) for value in values]
        raise RefusedError(f"{name} is not supported, only Host, Path and PathPrefix")

    def _taken(self, kind: str) -> bool:
        if self.kind != kind:
            return False
        self._next()
        return True

    def _want(self, kind: str) -> str:
        if self.kind != kind:
            wanted = {"name": "Host, Path or PathPrefix", "text": "a text in `backticks`"}.get(kind, kind)
            raise RefusedError(f"{wanted} is expected, not {self.text}")
        text = self.text
        self._next()
        return text

    def _next(self) -> None:
        self.kind, self.text = next(self._tokens, ("", "the end"))


def _host(text: str) -> str:
    host = read_host(text.removesuffix("."))
    if host.startswith("*."):
        raise RefusedError("Host takes no *")
    return host


def _path(text: str) -> str:
    if "{" in text:
        raise RefusedError(f"{text!r}: patterns in paths are not supported")
    return read_path(text)


def _both(one: Match, other: Match) -> Match | None:
    """Return the match that asks for what both ask for; None when no request can meet it."""
    if one.host and other.host and one.host != other.host:
        return None
    host = one.host or other.host
    if len(one.path) < len(other.path) or (other.exact and not one.exact):
        one, other = other, one  # the path of `one` is the longer one now, or the one that must be met to the letter
    if not one.path.startswith(other.path) or (other.exact and one.path != other.path):
        return None
    return Match(host, one.path, one.exact)
