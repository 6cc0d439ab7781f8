"""The first line of a head: a request's, or a response's."""

from __future__ import annotations

import re

from proxy.http.fields import BadMessageError, read_host

_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#]+)((?:[/?][^#]*)?)", re.IGNORECASE)
# llhttp skips what stands for an empty line before it, even a lone CR, and lets several blanks pass.
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/([0-9]\.[0-9])")
_MINOR_VERSIONS = {b"1.0": 0, b"1.1": 1}
_AUTHORITY_FORM = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+):[0-9]{1,5}")
# llhttp takes any three digits for a status, and any characters for the reason.
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*))?")


def read_request_line(
    line: bytes, limit: int, refused: frozenset[bytes]
) -> tuple[bytes, bytes, bytes, int, bytes | None]:
    """Return the method, the target in origin form, the line to be sent, the minor version, an absolute authority.

    Raises BadMessageError.
    """
    if len(line) > limit:
        raise BadMessageError(f"a request line of more than {limit} bytes", 414)
    parts = _REQUEST_LINE.fullmatch(line)
    if parts is None:
        raise BadMessageError("a malformed request line")
    method, target, version = parts.groups()
    minor_version = _MINOR_VERSIONS.get(version)
    if minor_version is None:
        raise BadMessageError("a version that is not spoken here", 505)
    if method in refused:
        raise BadMessageError(f"{method.decode()} is not allowed here", 405)
    if b"#" in target:
        raise BadMessageError("a fragment in the request target")
    authority = None
    if method == b"CONNECT":
        if not _AUTHORITY_FORM.fullmatch(target):
            raise BadMessageError("a malformed request target: CONNECT wants host:port")
        authority = target
    elif target[:1] != b"/":
        absolute = _ABSOLUTE_FORM.fullmatch(target)
        if absolute:
            authority, path = read_host(absolute[1]), absolute[2]
            target = path if path[:1] == b"/" else b"/" + path
            if not path and method == b"OPTIONS":
                target = b"*"  # RFC 9112 3.2.4
        elif target != b"*" or method != b"OPTIONS":
            raise BadMessageError("a malformed request target")
    if authority is not None or not minor_version:
        line = b"%b %b HTTP/1.1" % (method, target)
    return method, target, line, minor_version, authority


def read_status_line(line: bytes) -> tuple[int, bytes, bool]:
    """Return the status, the line to be sent, and whether it is of HTTP/1.0. Raises BadMessageError."""
    parts = _STATUS_LINE.fullmatch(line)
    if parts is None:
        raise BadMessageError("a malformed status line, or a version that is not spoken here")
    minor_version, status, reason = parts.groups()
    return int(status), b"HTTP/1.1 %b %b" % (status, reason or b""), minor_version == b"0"
