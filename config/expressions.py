"""Regular expressions that strangers' requests are matched against, and texts that are put together of what matched.

Python's `re` tries one way after the other, and nothing stops it meanwhile. So an expression is refused here for which
somebody could make up a text that takes very long, and what is matched is cut at LONGEST_MATCHED by those who match.
"""

import re
import re._constants as codes  # type: ignore[import-not-found]  # private, the same from Python 3.11 to 3.14
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from typing import Annotated, Any

from config.declaring import AfterValidator, WithJsonSchema
from config.units import show

LONGEST_MATCHED = 1024  # bytes of a path, or of a field, that an expression is tried on
LONGEST_EXPRESSION = 1000  # characters
MOST_GROUPS_USED = 9

_ALL = frozenset(range(256))
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)
_BEGINNINGS = (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING)
_MANY = 16  # a repetition up to this counts as a few
_MOST_WAYS = 4 * LONGEST_MATCHED**2  # of fitting a text, from wherever it begins: tried in some 50 ms
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
    """Say what in an expression could be tried in very many ways; empty when nothing can."""
    if slow := _slow_within(items):
        return slow
    flat = _in_line(items)
    anchored = bool(flat) and flat[0][0] is codes.AT and flat[0][1] in _BEGINNINGS
    if _ways(items, _ALL, reading=True) * (1 if anchored else LONGEST_MATCHED) > _MOST_WAYS:
        where = "" if anchored else ", and it may begin anywhere: begin it with ^"
        return f"repetitions could share a text between them in many ways{where}"
    return ""


def _slow_within(items: list[Any]) -> str:
    """Say why a sequence that is repeated without end could fit one text in many ways; empty when none could."""
    for code, argument in _in_line(items):
        if code is codes.GROUPREF_EXISTS:
            return "a part that depends on a group; write it as alternatives"
        if code in _REPEATS and argument[1] > _MANY:
            body = list(argument[2])
            start, nothing = _first(body)
            if nothing or _ways(body, start) > 1:
                return (
                    "a repetition whose turns fit a text in many ways, by a repetition within it or by alternatives "
                    "that begin alike; end each part with a character that the part before it cannot match"
                )
        for inner in _inside(code, argument):
            if slow := _slow_within(inner):
                return slow
    return ""


def _ways(items: list[Any], after: frozenset[int], *, reading: bool = False) -> int:
    """Return in how many ways at most a sequence fits one text, up to where one of `after` follows.

    A repetition or an alternative does not add to them if the next character tells how it goes on. It may read the
    whole text again in each of the ways that there are before it, all the same: that counts too with `reading`.
    """
    ways = apart = read = 1
    flat = _in_line(items)
    for place, (code, argument) in enumerate(flat):
        behind, nothing = _first(flat[place + 1 :])
        follow = behind | after if nothing else behind
        if code is codes.BRANCH:
            taken: set[int] = set()
            alike = False
            for way in argument[1]:
                first, empty = _first(list(way))
                first |= follow if empty else frozenset()
                alike = alike or bool(taken & first)
                taken |= first
            each = [_ways(list(way), follow, reading=reading) for way in argument[1]]
            ways *= sum(each) if alike else max(each)
        elif code in _REPEATS:
            least, most, body = argument[0], argument[1], list(argument[2])
            start, empty = _first(body)
            if most <= _MANY:
                last = _ways(body, start | follow)
                again = most > 1 and 1 < last <= _MOST_WAYS
                ways *= last * (_ways(body, start | follow if empty else start) ** (most - 1) if again else 1)
            if most > _MANY and not _begins_apart(flat, place):
                read = max(read, ways * LONGEST_MATCHED)
            if least != most and (empty or _characters((code, argument)) & follow):
                ways *= most - least + 1 if most <= _MANY else LONGEST_MATCHED
        else:  # what is matched by itself is never tried again: one after the other, they add up
            if code is codes.POSSESSIVE_REPEAT and not _begins_apart(flat, place):
                read = max(read, ways * LONGEST_MATCHED)
            apart = max([apart, *(_ways(inner, _ALL, reading=reading) for inner in _inside(code, argument))])
    return (max(ways, read) if reading else ways) * apart


def _begins_apart(flat: list[Any], place: int) -> bool:
    """Tell whether a repetition stands behind a character that it cannot match: no two of its texts overlap then."""
    before = flat[place - 1] if place else (codes.AT, codes.AT_BEGINNING)
    single = before[0] in (codes.LITERAL, codes.NOT_LITERAL, codes.IN)
    return single and not _characters(before) & _characters(flat[place])


def _in_line(items: list[Any]) -> list[Any]:
    """Return the items of a sequence, with those of plain groups in the groups' place."""
    found: list[Any] = []
    for item in items:
        found += _in_line(list(item[1][3])) if item[0] is codes.SUBPATTERN else [item]
    return found


def _inside(code: Any, argument: Any) -> Iterator[list[Any]]:
    """Yield the sequences that an item is made of."""
    if code in _REPEATS or code is codes.POSSESSIVE_REPEAT:
        yield list(argument[2])
    elif code is codes.ATOMIC_GROUP:
        yield list(argument)
    elif code in (codes.ASSERT, codes.ASSERT_NOT):
        yield list(argument[1])
    elif code is codes.BRANCH:
        yield from map(list, argument[1])


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
        repeated = code in _REPEATS or code is codes.POSSESSIVE_REPEAT
        if not repeated or (argument[0] and not _first(list(argument[2]))[1]):
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
