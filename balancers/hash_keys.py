"""What of a request decides where it goes, for policies that send the same to the same endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from balancers.balancer import Request

# A request's key; b"" where it has none.
Key = Callable[["Request"], bytes]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")  # a token (RFC 9110, section 5.6.2)
_FORMS = "client, path, {header: NAME}, {cookie: NAME}, {query: NAME} or a list of these"


def hash64(data: bytes) -> int:
    """Return a hash of 64 bits, the same on all machines and for ever: proxies side by side must agree."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def hashes(data: bytes, count: int) -> list[int]:
    """Return `count` hashes of 64 bits, of which each is the same for every greater count."""
    found: list[int] = []
    block = 0
    while len(found) < count:
        digest = blake2b(data + b"#%d" % block, digest_size=64).digest()  # eight at the price of one
        found += [int.from_bytes(digest[at : at + 8], "big") for at in range(0, 64, 8)]
        block += 1
    return found[:count]


def read_key(written: object) -> Key:
    """Make the key of what stands in the configuration; raise ValueError when that makes no sense.

    `client`, `path`, `{header: NAME}`, `{cookie: NAME}`, `{query: NAME}`, or a list of them: the first counts of which
    the request has something.
    """
    if isinstance(written, list | tuple):
        if not written:
            raise ValueError(f"key must be {_FORMS}, not an empty list")
        keys = [_read_one(one) for one in written]
        return lambda request: next((found for key in keys if (found := key(request))), b"")
    return _read_one(written)


def _read_one(written: object) -> Key:
    if written == "client":
        return lambda request: request.client.encode()
    if written == "path":
        return lambda request: request.target.partition(b"?")[0]
    if isinstance(written, Mapping) and len(written) == 1:
        ((kind, name),) = written.items()
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"the name of a {kind} to take as key must be a word such as X-User, not {name!r}")
        if kind == "header":
            header = name.lower().encode()
            return lambda request: request.header(header)
        if kind == "cookie":
            cookie = name.encode()
            return lambda request: cookie_of(request, cookie)
        if kind == "query":
            field = name.encode()
            return lambda request: query_of(request, field)
    raise ValueError(f"key must be {_FORMS}, not {written!r}")


def cookie_of(request: Request, name: bytes) -> bytes:
    """Return the value of the first cookie of this name, as it is written (RFC 6265, section 5.4); b"" for none."""
    for pair in request.header(b"cookie").split(b";"):
        key, _, value = pair.partition(b"=")
        if key.strip() == name:
            return value.strip()
    return b""


def query_of(request: Request, name: bytes) -> bytes:
    """Return the value of the first field of this name in the query, decoded; b"" for none."""
    for pair in request.target.partition(b"?")[2].split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name or unquote_to_bytes(key.replace(b"+", b" ")) == name:
            return unquote_to_bytes(value.replace(b"+", b" "))
    return b""
