"""The request line that the instance gets, where that is not the client's."""

from __future__ import annotations


def stripped(method: bytes, target: bytes, prefix: bytes) -> bytes:
    """Return the request line to be sent where a prefix is taken off the target; what is left begins with a /.

    A target that does not begin with the prefix, as that of a CONNECT or of an OPTIONS *, stays as it is.
    """
    if target.startswith(prefix):
        target = target[len(prefix) :]
        if target[:1] != b"/":
            target = b"/" + target
    return b"%b %b HTTP/1.1" % (method, target)
