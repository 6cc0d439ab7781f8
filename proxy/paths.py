"""A request's path as routes compare it: what the servers behind us may make of it, not how it happens to be spelled.

`/%61dmin` and `/x/../admin` are /admin to nearly every server. A route for /admin must hold for them too, or a rule of
it could be got round. So a path with anything to interpret in it is interpreted before it is compared, while the target
is passed on as it came; and one that servers interpret differently is refused: there is no right route for it.
"""

from __future__ import annotations

import re

from proxy.http.fields import BadMessageError

_KEPT = b"%/\\?#;"  # what would mean something else if it were decoded
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, section 2.3
_VISIBLE = frozenset(range(0x21, 0x7F)) - frozenset(_KEPT)
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_SLASHES = re.compile(rb"//+")
_TAKEN_FOR_SLASHES = re.compile(rb"%2F|%5C|\\")
# A . or .. between what some servers take for a slash (an escaped one, a backslash), or before what some cut off:
# Tomcat takes /..;/admin for /admin.
_HIDDEN = re.compile(rb"(?:/|\\|%2F|%5C)\.\.?(?:/|\\|%2F|%5C|;|%3B|$)")


def plain(path: bytes) -> bool:
    """Tell whether there is nothing to interpret in a path, as in nearly all."""
    return not (b"%" in path or b"/." in path or b"//" in path or b"\\" in path)


def compared(path: bytes) -> bytes:
    """Return a path that is not plain as routes compare it. Raises BadMessageError when servers would not agree on it.

    Escapes of visible characters are decoded but for those that mean something (RFC 3986, 2.2; all others are written
    in capitals), `.` and `..` resolved (5.2.4), and several slashes count as one, as to nginx and Go. What is no path
    (`*`, the target of a CONNECT) stays as it is.
    """
    if path[:1] != b"/":
        return path
    decoded = _ESCAPE.sub(_decode_visible, path)
    found = _resolved(decoded)
    if b"//" in decoded:
        # a//../b is a/b to who goes by RFC 3986, and b to who takes two slashes for one.
        found = _SLASHES.sub(b"/", found)
        if found != _resolved(_SLASHES.sub(b"/", decoded)):
            raise BadMessageError("a path that servers do not agree on: '..' behind '//'")
    if _HIDDEN.search(found) or b"%00" in found:
        raise BadMessageError("a path that servers do not agree on: a hidden '.' or '..', or a NUL")
    return found


def slashed(path: bytes) -> bytes:
    """Return a path, as routes compare it, as servers read it that take an escaped slash or a backslash for one.

    CGI and WSGI have a path decoded: to an application there, /admin%2Fx is /admin/x.
    """
    return _SLASHES.sub(b"/", _TAKEN_FOR_SLASHES.sub(b"/", path))


def rewritten_from(path: bytes) -> bytes:
    """Return what a path is rewritten from: decoded no further than means the same to everybody, `..` resolved."""
    if path[:1] != b"/" or plain(path):
        return path
    return _resolved(_ESCAPE.sub(_decode_unreserved, path))


def same_as_written(path: bytes) -> bytes:
    """Return a path of the configuration, or of a catalog, in the form of what it is compared with."""
    return _SLASHES.sub(b"/", _ESCAPE.sub(_decode_visible, path))


def _resolved(path: bytes) -> bytes:
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def _decode_visible(escape: re.Match[bytes]) -> bytes:
    byte = int(escape[0][1:], 16)
    return bytes([byte]) if byte in _VISIBLE else escape[0].upper()


def _decode_unreserved(escape: re.Match[bytes]) -> bytes:
    byte = int(escape[0][1:], 16)
    return bytes([byte]) if byte in _UNRESERVED else escape[0].upper()
