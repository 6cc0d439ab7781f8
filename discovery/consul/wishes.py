"""What an instance's tags ask for: the values that both readers of tags speak in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from config.texts import parse_route_host
from config.units import show
from discovery.instance import first_line

_PATH = re.compile(r"/[!-~]*")  # visible ASCII, as in the configuration


class RefusedError(ValueError):
    """A tag asks for what there is not here; the text says what that is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A route that an instance wants to have: requests to `host` whose path begins with `path`, or is it if `exact`.

    An empty host or path is no condition. The path is compared letter by letter, as fabio and Traefik do: /api takes
    /apis too. `strip` is taken off the path's beginning on the way to the instance. Of two routes that a request
    matches the one of the higher `rank` gets it. `port`, if it is not 0, is the instance's for this route, `weight`, if
    it is not None, its weight, and `share`, if it is not 0, the part of the route's requests that are to reach it.
    """

    host: str = ""
    path: str = ""
    exact: bool = False
    strip: str = ""
    rank: int = 0
    port: int = 0
    weight: int | None = None
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the tags of an instance say: its wishes, and each thing left out, with the reason."""

    wishes: tuple[Wish, ...] = ()
    left_out: tuple[str, ...] = ()


def read_host(text: str) -> str:
    """Return a host in the form of our routes; raise RefusedError if it has none there."""
    try:
        return parse_route_host(text)
    except ValueError:
        raise RefusedError(f"{show(text)} is no host name such as shop.example.com or *.example.com") from None


def read_path(text: str) -> str:
    """Return a path to compare with; raise RefusedError if it is none."""
    if not _PATH.fullmatch(text) or "?" in text or "#" in text:
        raise RefusedError(f"{show(text)} is no path: it must begin with / and hold no spaces, '?' or '#'")
    return text


def named(tag: str, reason: object) -> str:
    """Say of a tag why it is left out."""
    return f"{first_line(tag) or 'a tag'}: {reason}"
