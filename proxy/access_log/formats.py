"""From the name of a format, or a template, to what writes records in it; and what is wrong with a template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from config.errors import suggest
from proxy.access_log.json_lines import json_lines
from proxy.access_log.placeholders import FIELDS, content, date, field, header, request_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.access_log.placeholders import Placeholder
    from proxy.access_log.record import Record
    from proxy.access_log.redaction import Redaction

    Formatter = Callable[[Record], bytes]

NAMES = ("json", "clf", "combined")

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_HEADER = "request_header:"
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.1
_KNOWN = (*FIELDS, f"{_HEADER}NAME")


class FormatError(ValueError):
    """A format that cannot be used; the text is a sentence that says what to change."""


def check_format(format: str) -> None:
    """Raise FormatError unless it is json, clf, combined or a template without faults."""
    if format not in NAMES:
        for _ in _parse(format):
            pass


def make_formatter(format: str, redaction: Redaction) -> Formatter:
    """Return what writes a record as a line in this format, with its end. Raises FormatError."""
    if format == "json":
        return json_lines(redaction)
    clf: list[str | Placeholder] = [
        field("client", redaction),
        " - ",
        field("user", redaction),
        " [",
        date,
        '] "',
        request_line(redaction),
        '" ',
        field("status", redaction),
        " ",
        content,
    ]
    if format == "clf":
        return _line(clf)
    if format == "combined":
        return _line([*clf, ' "', header(b"referer", redaction), '" "', header(b"user-agent", redaction), '"'])
    parts: list[str | Placeholder] = []
    for literal, name in _parse(format):
        if literal:
            parts.append(literal)
        elif name.startswith(_HEADER):
            parts.append(header(name.removeprefix(_HEADER).lower().encode(), redaction))
        else:
            parts.append(field(name, redaction))
    return _line(parts)


def _line(parts: list[str | Placeholder]) -> Formatter:
    """Return what writes a line of fixed text and placeholders."""
    pattern = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for part in parts) + "\n"
    placeholders = [part for part in parts if not isinstance(part, str)]

    def write(record: Record) -> bytes:
        return (pattern % tuple([placeholder(record) for placeholder in placeholders])).encode()

    return write


def _parse(template: str) -> Iterator[tuple[str, str]]:
    """Yield fixed text, or else the name of a field. Raises FormatError."""
    if "{" not in template:
        hint = suggest(template, NAMES, "write one of these, or a template with {field} in it")
        raise FormatError(f"unknown format {template!r}; {hint}")
    if not template.replace("\t", " ").isprintable():
        raise FormatError("a template must be one line of printable characters")
    end = 0
    fields = 0
    for token in _TOKEN.finditer(template):
        if token.start() > end:
            yield template[end : token.start()], ""
        end = token.end()
        text = token[0]
        if token[1] is not None:
            _check_field(token[1])
            fields += 1
            yield "", token[1]
        elif len(text) == 2:
            yield text[0], ""
        else:
            where = f"at character {token.start() + 1} of the template"
            raise FormatError(f"unbalanced {text!r} {where}; write {text * 2!r} for the character itself")
    if end < len(template):
        yield template[end:], ""
    if not fields:
        raise FormatError(f"no field in the template; {_listing()}")


def _check_field(name: str) -> None:
    if name in FIELDS:
        return
    if name.startswith(_HEADER):
        if _HEADER_NAME.fullmatch(name, len(_HEADER)):
            return
        raise FormatError(f"no name of a header in {{{name}}}; write it as in {{{_HEADER}Accept-Language}}")
    hint = suggest(name, _KNOWN, "")
    raise FormatError(f"unknown field {name!r}; {hint + ' ' if hint.startswith('did') else ''}{_listing()}")


def _listing() -> str:
    return f"the fields are {', '.join(_KNOWN)}"
