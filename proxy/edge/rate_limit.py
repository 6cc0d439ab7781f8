"""How many requests pass: limits, each with buckets of its own, all of which must let a request pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from proxy.edge.access import packed
from proxy.http.answers import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from proxy.edge.buckets import Buckets
    from proxy.edge.shared_buckets import SharedBuckets
    from proxy.http.answers import Answer
    from proxy.http.heads import RequestHead

_LONGEST_KEY = 64  # bytes of a header's value that are kept as they are; of a longer one a hash is


def by_client(request: RequestHead) -> Hashable:
    """Return what a client is known by: its address as far as it can be believed; of IPv6 the first 64 bits.

    Nobody has less than a /64 of IPv6, and who has one can take any of its addresses (RFC 6177).
    """
    address = packed(request.client)
    return address[:8] if len(address) == 16 else address


def by_header(name: str) -> Callable[[RequestHead], Hashable]:
    """Return what takes a header's value for a key; requests without it have one bucket together."""
    wanted = name.lower().encode()

    def key(request: RequestHead) -> Hashable:
        value = request.header(wanted)
        return value if len(value) <= _LONGEST_KEY else blake2b(value, digest_size=32).digest() + b"\0hash"

    return key


def by_route(request: RequestHead) -> Hashable:
    """Return the one key of all requests."""
    return None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit: who has a bucket, the buckets, and the words that say it."""

    key: Callable[[RequestHead], Hashable]
    buckets: Buckets | SharedBuckets
    text: str


class RateLimits:
    """The limits of a listener or a route."""

    __slots__ = ("known_elsewhere", "limits", "refused")

    def __init__(self, limits: Sequence[RateLimit]) -> None:
        self.limits = tuple(limits)
        self.refused = 0
        self.known_elsewhere = 0  # in other processes

    @property
    def known(self) -> int:
        """How many keys have a bucket; one that several processes know counts in each of them."""
        return sum(len(limit.buckets) for limit in self.limits) + self.known_elsewhere

    def refuses(self, request: RequestHead, now: float) -> Answer | None:
        """Take a token of each bucket, or answer with a 429 when one has none; then none is taken of any."""
        limits = self.limits
        if len(limits) == 1:  # as nearly all have it; half the time of what follows
            [limit] = limits
            key = limit.key(request)
            if not limit.buckets.wait(key, now):
                limit.buckets.take(key, now)
                return None
        keys = [limit.key(request) for limit in limits]
        longest, text = 0.0, ""
        for limit, key in zip(limits, keys, strict=True):
            wait = limit.buckets.wait(key, now)
            if wait > longest:
                longest, text = wait, limit.text
        if longest:
            self.refused += 1
            # RFC 9110 10.2.3: whole seconds. The RateLimit fields are still a draft of the IETF's, and left out.
            return refusal(429, text, fields=(b"Retry-After: %d" % math.ceil(longest),))
        for limit, key in zip(limits, keys, strict=True):
            limit.buckets.take(key, now)
        return None
