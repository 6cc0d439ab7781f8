"""Keeping secrets out of the log: the values of query parameters and headers with certain names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REDACTED = b"REDACTED"

_QUERY = re.compile(rb"[?#]")
_HEX_LETTER = re.compile("[a-f]")
_USER_INFORMATION = re.compile(rb"(//)[^/?#]*@")


class Redaction:
    """Redacts what has one of `names`, in any case: parameters of URLs, and headers.

    Servers disagree about where a parameter begins and ends, and a URL is often the value of a parameter of another
    one. So a name is looked for wherever a server might see it, percent-encoded or not, and its value is taken to go on
    as far as any server might read: rather too much is redacted than too little. It takes time in proportion to the
    length, whatever a client sends.
    """

    __slots__ = ("_hint", "_in_path", "_in_query", "_names")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.strip().lower() for name in names) - {""}
        self._hint = None
        if self._names:
            # In lower case, a URL without any of these has no such name, however it is written: 0.3 µs instead of 2.
            hints = [re.escape(name.encode("utf-8", "replace")) for name in sorted(self._names)]
            self._hint = re.compile(b"|".join([*hints, rb"[%+\x80-\xff]"]))
            # `&`, `;`, `?` and `#` begin a parameter; user[token]=, token[]= and token[0]= are what PHP and Rails make
            # of lists, and PHP ignores blanks before a name. Nothing here can be read in two ways, so little is tried
            # again. Possessive quantifiers would say so, but Debian 12's Python 3.11.2 gets them wrong.
            begin = _written(b"&;?#[") + _written(b" \t") + b"*"
            name = b"(?:" + b"|".join(_name(name) for name in sorted(self._names)) + b")"
            index = b"(?:" + _written(b"[]") + b"[0-9]*)*"
            parameter = b"(" + begin + name + index + _written(b"=") + b")"
            self._in_query = re.compile(parameter + rb"[^&]*")
            self._in_path = re.compile(parameter + rb"[^&/]*")

    def target(self, target: bytes) -> bytes:
        """Redact the parameters of a request's target, or of a URL: in the path, the query and the fragment."""
        hint = self._hint
        if hint is None or not (b"?" in target or b";" in target or b"#" in target) or not hint.search(target.lower()):
            return target
        found = _QUERY.search(target)
        end = found.start() if found else len(target)
        path = self._in_path.sub(rb"\1" + REDACTED, target[:end])  # as in /cart;jsessionid=1/items
        return path + self._in_query.sub(rb"\1" + REDACTED, target[end:])

    def header(self, name: bytes, value: bytes) -> bytes:
        """Redact the value of a header; the name in lower case. One that may be a URL loses its user information too.

        RFC 9110 10.1.3 forbids a client to send that in a Referer; one that does all the same gives a secret away.
        """
        if self.covers(name):
            return REDACTED
        if b"//" not in value and b"?" not in value:
            return value
        if b"@" in value:
            value = _USER_INFORMATION.sub(rb"\1" + REDACTED + b"@", value)
        return self.target(value)

    def covers(self, name: bytes) -> bool:
        """Tell whether a header of this name is to be redacted."""
        return name.decode("utf-8", "replace").lower() in self._names


def _name(name: str) -> bytes:
    """Return a pattern for a name, in any case and encoding."""
    pattern = b""
    for character in name:
        cases = sorted(case.encode("utf-8", "replace") for case in {character.lower(), character.upper()})
        if all(len(case) == 1 for case in cases):
            pattern += _written(b"".join(cases))
        else:
            pattern += b"(?:" + b"|".join(b"".join(_written(bytes([octet])) for octet in case) for case in cases) + b")"
    return pattern


def _written(octets: bytes) -> bytes:
    """Return a pattern for one of these bytes, as it is or percent-encoded, any number of times: ?, %3F, %253f."""
    plain = re.escape(octets.replace(b" ", b" +"))
    digits = (_HEX_LETTER.sub(lambda found: f"[{found[0]}{found[0].upper()}]", f"{octet:02x}") for octet in octets)
    return b"(?:[" + plain + b"]|%(?:25)*(?:" + "|".join(digits).encode() + b"))"
