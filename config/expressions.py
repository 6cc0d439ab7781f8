"""Regular expressions that strangers' requests are matched against, and texts that are put together of what matched.

Python's `re` tries one way after the other, and nothing stops it meanwhile. So an expression is refused here for which
somebody could make up a text that takes very long, and what is matched is cut at LONGEST_MATCHED by those who match.
"""

import re
import re._constants as codes  # type: ignore[import-not-found]  # private, the same from Python 3.11 to 3.14
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from config.units import show

LONGEST_MATCHED = 1024  # bytes of a path, or of a field, that an expression is tried on
LONGEST_EXPRESSION = 1000  # characters
MOST_GROUPS_USED = 9

_ALL = frozenset(range(256))
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)
_OF_ITS_OWN = (codes.POSSESSIVE_REPEAT, codes.ATOMIC_GROUP, codes.ASSERT, codes.ASSERT_NOT)  # never tried again
_MANY = 16  # a repetition up to this counts as a few
_MOST_FREE = 2  # repetitions that may share a text between them: the square of LONGEST_MATCHED is some milliseconds
_CATEGORIES = {
    codes.CATEGORY_DIGIT: rb"\d", codes.CATEGORY_NOT_DIGIT: rb"\D", codes.CATEGORY_SPACE: rb"\s",
    codes.CATEGORY_NOT_SPACE: rb"\S", codes.CATEGORY_WORD: rb"\w", codes.CATEGORY_NOT_WORD: rb"\W",
}  # fmt: skip
_TEMPLATE = re.compile(r"(?:[!-\[\]-~]|\\(?:[0-9]|g<[A-Za-z_][A-Za-z0-9_]*>))*")  # visible ASCII; a \ before a group
_GROUP = re.compile(r"\\(?:([0-9])|g<([A-Za-z_][A-Za-z0-9_]*)>)")


def parse_expression(text: str) -> str:
    """Read a regular expression; raise ValueError with what is wrong with it."""
    if not text or len(text) > LONGEST_EXPRESSION or not text.isascii() or not text.isprintable():
        raise ValueError(
            f"must be a regular expression of 1 to {LONGEST_EXPRESSION} printable ASCII characters, not {show(text)}"
        )
    try:
        re.compile(text.encode())
        tree = list(parser.parse(text.encode()))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression, not {show(text)}: {error}") from error
    if slow := _slow(tree):
        raise ValueError(f"must be an expression that no path can make slow, not {show(text)}: {slow}")
    return text


def parse_template(text: str) -> str:
    r"""Read a path that may take in what an expression's groups have matched, as \1 or \g<name>; raise ValueError."""
    if not text.startswith("/") or not _TEMPLATE.fullmatch(text) or "?" in text or "#" in text:
        raise ValueError(
            r"must begin with / and hold no spaces, '?', '#' or special characters; \1 or \g<name> is what a group of "
            f"the expression matched, not {show(text)}"
        )
    if len(groups_of(text)) > MOST_GROUPS_USED:
        raise ValueError(f"must take in at most {MOST_GROUPS_USED} groups, not {len(groups_of(text))}")
    return text


def groups_of(template: str) -> list[int | str]:
    """Return the groups that a template takes in, by number or name."""
    return [int(number) if number else name for number, name in _GROUP.findall(template)]


def unknown_group(template: str, expression: str | None) -> str:
    """Say which group of a template an expression, as it was written, does not have; empty when all are there."""
    used = groups_of(template)
    if not used:
        return ""
    if expression is None:
        return f"takes in a group of an expression, but there is none: write {_GROUP.sub('', template) or '/'}"
    try:
        compiled = re.compile(expression)
    except (re.error, OverflowError, RecursionError):
        return ""  # which is told where it stands
    for group in used:
        if group not in compiled.groupindex if isinstance(group, str) else group > compiled.groups:
            return f"takes in the group {group}, which the expression {show(expression)} does not have"
    return ""


def pieces_of(template: str) -> tuple[bytes | int | str, ...]:
    """Take a template apart into texts and the groups between them."""
    pieces: list[bytes | int | str] = []
    at = 0
    for found in _GROUP.finditer(template):
        pieces += [template[at : found.start()].encode(), int(found[1]) if found[1] else found[2]]
        at = found.end()
    pieces.append(template[at:].encode())
    return tuple(piece for piece in pieces if piece != b"")


# What makes an expression slow. An item is what Python's own parser makes of a part: (code, argument).


def _slow(items: list[Any]) -> str:
    """Say what in a sequence could be tried in very many ways; empty when nothing can."""
    for inner in _apart(items):
        if slow := _slow(inner):
            return slow
    for repeated in _repeated(items):
        if slow := _slow_repeated(repeated):
            return slow
    anchored = bool(items) and items[0][0] is codes.AT and items[0][1] is not codes.AT_END
    free = _free(items) + (not anchored)
    if free > _MOST_FREE:
        return (
            f"{free - (not anchored)} repetitions could share a text between them in many ways"
            f"{'' if anchored else ', and it may begin anywhere: begin it with ^'}"
        )
    return ""


def _slow_repeated(body: list[Any]) -> str:
    """Say why a sequence that is repeated without end could fit one text in many ways."""
    flat = list(_flat(body))
    variable = [item for item in flat if item[0] in _REPEATS and item[1][0] != item[1][1]]
    if variable and not _delimited(body):
        return "a repetition within a repetition; end the inner part with a character that it cannot match itself"
    for code, argument in flat:
        if code is codes.BRANCH:
            taken: set[int] = set()
            for way in argument[1]:
                first, empty = _first(list(way))
                if empty or taken & first:
                    return "alternatives within a repetition that begin alike"
                taken |= first
    return ""


def _delimited(body: list[Any]) -> bool:
    """Tell whether each turn begins or ends with a character that nothing else in it can match."""
    while len(body) == 1 and body[0][0] is codes.SUBPATTERN:
        body = list(body[0][1][3])
    for mark, rest in ((body[0], body[1:]), (body[-1], body[:-1])):
        if mark[0] is codes.LITERAL and not any(mark[1] in _characters(item) for item in rest):
            return True
    return False


def _free(items: list[Any]) -> int:
    """Count the repetitions of a sequence that may end at more than one place of a text."""
    count = 0
    flat = _in_line(items)
    for place, (code, argument) in enumerate(flat):
        if code is codes.BRANCH:
            count += max(_free(list(way)) for way in argument[1])
        elif code in _REPEATS and argument[1] <= _MANY:
            body = list(argument[2])
            count += _free(body) * (1 if _delimited(body) else argument[1])
        elif code in _REPEATS:
            following = flat[place + 1] if place + 1 < len(flat) else None
            ends = following is not None and following[0] in (codes.LITERAL, codes.IN, codes.NOT_LITERAL)
            if not ends or _characters(following) & _characters((code, argument)):
                count += 1
    return count


def _in_line(items: list[Any]) -> list[Any]:
    """Return the items of a sequence, with those of plain groups in the groups' place."""
    found: list[Any] = []
    for item in items:
        found += _in_line(list(item[1][3])) if item[0] is codes.SUBPATTERN else [item]
    return found


def _apart(items: list[Any]) -> Iterator[list[Any]]:
    """Yield the sequences within that are matched by themselves."""
    for code, argument in _flat(items):
        if code is codes.POSSESSIVE_REPEAT:
            yield list(argument[2])
        elif code is codes.ATOMIC_GROUP:
            yield list(argument)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            yield list(argument[1])


def _repeated(items: list[Any]) -> Iterator[list[Any]]:
    """Yield the bodies of the repetitions without an end."""
    for code, argument in _flat(items):
        if code in _REPEATS and argument[1] > _MANY:
            yield list(argument[2])


def _flat(items: list[Any]) -> Iterator[Any]:
    """Yield all items, those within others included, but for what is matched by itself."""
    for item in items:
        yield item
        code, argument = item
        if code is codes.SUBPATTERN:
            yield from _flat(list(argument[3]))
        elif code in _REPEATS:
            yield from _flat(list(argument[2]))
        elif code is codes.BRANCH:
            for way in argument[1]:
                yield from _flat(list(way))


def _first(items: list[Any]) -> tuple[frozenset[int], bool]:
    """Return the characters with which a sequence may begin, and whether it may be empty."""
    found: frozenset[int] = frozenset()
    for code, argument in _in_line(items):
        if code is codes.AT:
            continue
        if code is codes.BRANCH:
            ways = [_first(list(way)) for way in argument[1]]
            found = found.union(*(first for first, _ in ways))
            if not any(empty for _, empty in ways):
                return found, False
            continue
        found |= _characters((code, argument))
        if code not in _REPEATS or argument[0]:
            return found, False
    return found, True


def _characters(item: Any) -> frozenset[int]:
    """Return the characters that an item may match, in either case; all of them where that is not known."""
    code, argument = item
    match code:
        case codes.LITERAL:
            found = frozenset([argument])
        case codes.NOT_LITERAL:
            return _ALL - frozenset([argument])
        case codes.RANGE:
            found = frozenset(range(argument[0], argument[1] + 1))
        case codes.CATEGORY:
            found = frozenset(byte for byte in _ALL if re.match(_CATEGORIES[argument], bytes([byte])))
        case codes.IN:
            parts = [_characters(part) for part in argument if part[0] is not codes.NEGATE]
            found = frozenset[int]().union(*parts)
            return _ALL - found if argument[0][0] is codes.NEGATE else found
        case codes.AT:
            return frozenset()
        case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
            found = frozenset[int]().union(*map(_characters, argument[2]))
        case codes.SUBPATTERN:
            found = frozenset[int]().union(*map(_characters, argument[3]))
        case codes.BRANCH:
            found = frozenset[int]().union(*(_characters(part) for way in argument[1] for part in way))
        case _:
            return _ALL
    return found | frozenset(bytes(found).swapcase())


Expression = Annotated[
    str, AfterValidator(parse_expression), WithJsonSchema({"type": "string", "minLength": 1, "format": "regex"})
]
PathTemplate = Annotated[
    str, AfterValidator(parse_template), WithJsonSchema({"type": "string", "pattern": "^/[^?#\\s]*$"})
]
