"""The request line that the instance gets, where that is not the client's.

What comes out is a target again: what goes in is visible ASCII, which Downstream has seen to, what is put in is too,
which the configuration has seen to, and it begins with one slash. The query is not touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from config.expressions import LONGEST_MATCHED
from proxy.edge.templates import filled
from proxy.http.fields import BadMessageError
from proxy.paths import compared, plain, rewritten_from, same_as_written

if TYPE_CHECKING:
    from proxy.http.heads import RequestHead

_LONGEST = 8192  # bytes of a path that an expression has made
_SLASHES = re.compile(rb"^/{2,}")


class Rewriting(Protocol):
    """Makes another path of a path."""

    def path(self, path: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class InPlaceOf:
    """Puts `to` in the place of `prefix`, with which the path begins; b"" takes it off. What is behind it stays."""

    prefix: bytes
    to: bytes = b""

    def path(self, path: bytes) -> bytes:
        """Return the path for the instance."""
        rest = behind(path, self.prefix)
        if rest is None:
            return path
        if not rest:
            return self.to
        return self.to.removesuffix(b"/") + (rest if rest[:1] == b"/" else b"/" + rest)


@dataclass(frozen=True, slots=True)
class Replaced:
    """Puts something in the place of whatever an expression matches."""

    expression: re.Pattern[bytes]
    to: tuple[bytes | int | str, ...]

    def path(self, path: bytes) -> bytes:
        """Return the path for the instance. Raises BadMessageError for one that is too long, or becomes so."""
        path = rewritten_from(path)
        if len(path) > LONGEST_MATCHED:
            raise BadMessageError(f"a path of more than {LONGEST_MATCHED} bytes, which is too long for this route", 414)
        path = self.expression.sub(lambda found: filled(self.to, found), path)
        if len(path) > _LONGEST:
            raise BadMessageError(f"a path that is rewritten to more than {_LONGEST} bytes", 414)
        return path


def rewritten(request: RequestHead, rewriting: Rewriting) -> bytes:
    """Return the request line to be sent. Raises BadMessageError.

    A target that is no path, as that of a CONNECT or of an OPTIONS *, stays as it is.
    """
    target = request.target
    if target[:1] != b"/":
        return request.line
    path, mark, query = target.partition(b"?")
    path = _SLASHES.sub(b"/", rewriting.path(path))  # what begins with two is a host to some
    if path[:1] != b"/":
        path = b"/" + path
    return b"%b %b%b%b HTTP/1.1" % (request.method, path, mark, query)


def stripped(method: bytes, target: bytes, prefix: bytes) -> bytes:
    """Return the request line to be sent where a prefix is taken off the target; what is left begins with a /.

    A target that does not begin with the prefix, as that of a CONNECT or of an OPTIONS *, stays as it is.
    """
    path, mark, query = target.partition(b"?")
    rest = behind(path, prefix)
    if rest is not None:
        target = (rest if rest[:1] == b"/" else b"/" + rest) + mark + query
    return b"%b %b HTTP/1.1" % (method, target)


def behind(path: bytes, prefix: bytes) -> bytes | None:
    """Return what is behind a prefix in a path, however the path spells it; None when the path has another beginning.

    What is behind it stays as the client wrote it, but for `..` and escapes that mean nothing: with `..` it could lead
    out of the prefix again.
    """
    if plain(path):
        return path[len(prefix) :] if path.startswith(prefix) else None
    for found in (rewritten_from(path), compared(path)):
        for wanted in (prefix, same_as_written(prefix)):
            if found.startswith(wanted):
                return found[len(wanted) :]
    return None
