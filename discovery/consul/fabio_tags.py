"""Read fabio's tags: `urlprefix-host/path`, with options behind spaces.

What the tag and its options mean: https://fabiolb.net/quickstart/ and https://fabiolb.net/cfg/
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from config.units import show
from discovery.consul.wishes import RefusedError, Wish, named, read_host, read_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX = "urlprefix-"

_WITH_HOST = 1_000_000  # more than any path's length: fabio looks at routes with a host first
_WILDCARD = 1_000  # times the host's length: then at patterns of hosts, the longest first

# Options that change who may ask, what is asked, or how: a route without them would not be the one that was meant.
_REASONS = {
    "allow": "access rules are not supported",
    "deny": "access rules are not supported",
    "auth": "authorization is not supported",
    "redirect": "redirects are not supported",
    "prepend": "paths are stripped, not prepended to",
    "host": "the Host header is passed on as it is",
    "register": "services are not registered for a route",
    "pxyproto": "the PROXY protocol is not spoken to instances",
    "tlsskipverify": "TLS is not spoken to instances",
    "tlsservername": "TLS is not spoken to instances",
}


def speaks(tag: str) -> bool:
    """Tell whether a tag is one of fabio's."""
    return tag.lstrip().startswith(PREFIX)


def read(tags: Iterable[str]) -> Iterator[Wish | str]:
    """Yield each wish of an instance's tags, and for each tag that is left out what it is and why."""
    for tag in tags:
        if speaks(tag):
            text = tag.strip()
            try:
                yield _wish(text.removeprefix(PREFIX))
            except RefusedError as error:
                yield named(text, error)


def _wish(text: str) -> Wish:
    source, *options = text.split()[:64] or [""]
    if source.startswith(":"):
        raise RefusedError("TCP is not passed on, only HTTP")
    if "$" in source:
        raise RefusedError("variables such as $DC are not filled in")
    host, slash, rest = source.partition("/")
    if not slash:
        raise RefusedError("must have a /, as in urlprefix-shop.example.com/")
    host = read_host(host) if host else ""
    path = read_path(f"/{rest}")
    strip, share = "", 0.0
    for option in options:
        name, _, value = option.partition("=")
        if name == "strip":
            strip = read_path(value)
        elif name == "weight":
            share = _share(value)
        elif name == "proto":
            if value != "http":
                raise RefusedError(f"proto={value}: only HTTP is passed on, and without TLS")
        else:
            raise RefusedError(f"{option}: {_REASONS.get(name, 'this option is not known')}")
    rank = len(path)
    if host.startswith("*."):
        rank += _WILDCARD * len(host)
    elif host:
        rank += _WITH_HOST
    return Wish(host, "" if path == "/" else path, strip=strip, rank=rank, share=share)


def _share(text: str) -> float:
    """Read a share of the requests; what is not above 0 is none, as it is for fabio."""
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not math.isfinite(share):
        raise RefusedError(f"weight={text}: must be a share of the requests such as 0.05, not {show(text)}")
    return max(share, 0.0)
