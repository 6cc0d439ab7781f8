"""Read what the tags of an instance say about routes, in fabio's language and in Traefik's."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from discovery.consul import fabio_tags, traefik_tags
from discovery.consul.wishes import Reading, Wish

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_TAG = 2000  # characters
MOST_TAGS = 256  # of one instance that are looked at
MOST_WISHES = 256  # of one instance

_LANGUAGES = {"fabio": fabio_tags.speaks, "traefik": traefik_tags.speaks}


def speak_of_routes(tags: Iterable[object], languages: Iterable[str]) -> bool:
    """Tell whether one of a service's tags may ask for a route; `languages` are fabio, traefik or both."""
    speaks = [_LANGUAGES[language] for language in languages]
    return any(isinstance(tag, str) and any(one(tag) for one in speaks) for tag in tags)


@lru_cache(maxsize=1024)  # the instances of a service have the same tags, and all are read at each change of one
def read_tags(service: str, tags: tuple[str, ...], languages: tuple[str, ...], entrypoints: tuple[str, ...]) -> Reading:
    """Read an instance's tags; `service` is its name in Consul, `entrypoints` those of Traefik's that count, or none.

    A router of Traefik's that names entry points, none of which is among `entrypoints`, is left out; empty, they are
    not looked at.
    """
    fit = [tag for tag in tags[:MOST_TAGS] if len(tag) <= LONGEST_TAG]
    read: list[Wish | str] = []
    if "fabio" in languages:
        read += fabio_tags.read(fit)
    if "traefik" in languages:
        read += traefik_tags.read(service, fit, entrypoints)
    wishes = tuple(one for one in read if isinstance(one, Wish))
    left_out = [one for one in read if isinstance(one, str)]
    if len(fit) < len(tags):
        left_out.append(f"tags beyond the first {MOST_TAGS}, and those of more than {LONGEST_TAG} characters")
    if len(wishes) > MOST_WISHES:
        left_out.append(f"routes beyond the first {MOST_WISHES}")
    return Reading(wishes[:MOST_WISHES], tuple(left_out))
