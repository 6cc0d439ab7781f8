"""YAML text → plain data, with the line of every key, and the environment's variables put in.

Scalars follow the core schema of YAML 1.2 (section 10.3), not 1.1 as PyYAML does: `on`, `no`, `12:30:45` and
`2026-01-31` are text. Variables are put in after parsing, scalar by scalar, so they can never add keys or items.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from config.errors import ConfigError, KeyPath, Problem
from config.units import short, show

MAX_NODES = 100_000  # with every alias written out: a small file can stand for billions (the billion laughs)
MAX_DEPTH = 64

_PLAIN, _QUOTED, _COLLECTION = "plain", "quoted", "collection"  # in place of YAML's tags, where the file gives none
_TEXT_TAGS = (_QUOTED, "tag:yaml.org,2002:str")
_COLLECTION_TAGS = (_COLLECTION, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

_NULL = re.compile("|~|null|Null|NULL")
_TRUE = re.compile("true|True|TRUE")
_FALSE = re.compile("false|False|FALSE")
_INT = re.compile("[-+]?[0-9]{1,1000}")  # Python refuses to read many more digits than that
_OCTAL_OR_HEX = re.compile("0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_VARIABLE_BODY = re.compile("([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)

# PyYAML's words for the mistakes that people make most, and ours.
_SYNTAX = (
    ("found character '\\t'", "a tab, where YAML wants spaces"),
    (
        "mapping values are not allowed",
        "a ':' that cannot stand here; check the indentation, or put the text in quotes",
    ),
    ("could not find expected ':'", "a line that is neither 'key: value' nor '- item'; check the indentation"),
    ("expected <block end>", "this does not line up with what is above it; check the indentation"),
    ("expected ',' or ']'", "a list in [ ] that is not closed, or lacks a comma"),
    ("expected ',' or '}'", "a mapping in { } that is not closed, or lacks a comma"),
    ("found unexpected end of stream", "a quoted text that is not closed"),
    ("but found another document", "a second document (---); a configuration is one"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """What a file says.

    `lines` has, from 1, the line of the key at each path of a mapping and of the item at each path of a list.
    `problems` are those that left something to go on with; `unresolved` are the paths of variables without a value,
    where `data` has None.
    """

    data: Any
    lines: Mapping[KeyPath, int]
    problems: tuple[Problem, ...]
    unresolved: frozenset[KeyPath]


def read(text: str, *, name: str, environ: Mapping[str, str]) -> Source:
    """Read YAML. Raises ConfigError, which calls the file `name`, where there is nothing to go on with."""
    try:
        root = _compose(text)
        builder = _Builder(environ)
        data = None if root is None else builder.build(root, ())
    except _UnusableError as error:
        raise ConfigError(name, [error.problem]) from None
    return Source(data, builder.lines, tuple(builder.problems), frozenset(builder.unresolved))


class _UnusableError(Exception):
    def __init__(self, message: str, line: int, path: KeyPath = ()) -> None:
        super().__init__(message)
        self.problem = Problem(path, message, line=line)


class _Loader(yaml.SafeLoader):
    """Composes nodes; leaves every scalar's meaning open, and bounds the depth before the stack does."""

    depth = 0

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return _COLLECTION

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _UnusableError(f"nested deeper than {MAX_DEPTH} levels", self.line + 1)
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str) -> Node | None:
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _UnusableError(f"not YAML: the character U+{error.character:04X} is not allowed", line) from None
    except (ValueError, OverflowError):  # PyYAML lets chr() fail on it
        raise _UnusableError("not YAML: an escape such as \\U0011FFFF that is no character", 1) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        found = f"{error.context or ''} {error.problem or ''}".strip()
        words = next((ours for theirs, ours in _SYNTAX if theirs in found), found)
        at_fault = dict(enumerate(text.split("\n"), 1)).get(line, "")  # PyYAML knows more line breaks than \n
        if re.search(r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]:", at_fault):
            words = 'an IPv6 address with a port must be in quotes, as in "[::1]:8080"'
        elif re.search(r"[{\[,:] *:[0-9]", at_fault):  # within { } and [ ], where PyYAML still follows YAML 1.1
            words = 'an address without a host must be in quotes here, as in ":8080"'
        elif "${" in at_fault and "lacks a comma" in words:
            words = 'within { } and [ ] a variable must be in quotes, as in "${NAME}"'
        raise _UnusableError(f"not YAML, at column {column}: {words}", line) from None


@dataclass(slots=True)
class _Builder:
    environ: Mapping[str, str]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unresolved: set[KeyPath] = field(default_factory=set)
    count: int = 0
    around: list[Node] = field(default_factory=list)  # the nodes that the present one is inside of

    def build(self, node: Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.count += 1
        if self.count > MAX_NODES:
            raise _UnusableError(f"more than {MAX_NODES} values, with every alias (*) written out", line)
        if any(outer is node for outer in self.around):
            raise _UnusableError("an alias (*) that stands for what it is inside of", self.lines[path], path)
        if len(self.around) >= MAX_DEPTH:
            raise _UnusableError(f"nested deeper than {MAX_DEPTH} levels", self.lines[path])
        self.around.append(node)
        try:
            return self._value(node, path)
        finally:
            self.around.pop()

    def _value(self, node: Node, path: KeyPath) -> Any:
        known = (_PLAIN, *_TEXT_TAGS) if isinstance(node, ScalarNode) else _COLLECTION_TAGS
        if node.tag not in known:
            self.problems.append(Problem(path, f"has the tag {node.tag}; tags are not supported, leave it out"))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, place)) for place, item in enumerate(node.value)]
        text = self._substitute(node.value, path)
        if text is None:
            self.unresolved.add(path)
            return None
        return resolve(text) if node.tag == _PLAIN else text

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, path)
            if key is None:
                continue
            inner = (*path, key)
            if key in result:
                message = f"written twice; the first is on line {self.lines[inner]}"
                self.problems.append(Problem(inner, message, line=line))
                continue
            self.lines[inner] = line
            result[key] = self.build(value_node, inner)
        return result

    def _key(self, node: Node, path: KeyPath) -> str | None:
        line = node.start_mark.line + 1
        if not isinstance(node, ScalarNode):
            self.problems.append(Problem(path, "a key must be text, not a list or a mapping", line=line))
            return None
        if node.tag == _PLAIN and node.value == "<<":
            message = "merge keys (<<) are not supported; write the keys out, or give a whole value an alias"
            self.problems.append(Problem(path, message, line=line))
            return None
        key = resolve(node.value) if node.tag == _PLAIN else node.value
        if not isinstance(key, str):
            self.problems.append(
                Problem(path, f'the key {show(key)} must be text; write "{short(node.value)}"', line=line)
            )
            return None
        return key

    def _substitute(self, text: str, path: KeyPath) -> str | None:
        """Put variables in; None when one has no value."""
        complete = True

        def value(found: re.Match[str]) -> str:
            nonlocal complete
            if found[0] == "$${":
                return "${"
            body = _VARIABLE_BODY.fullmatch(found[1]) if found[2] else None
            if body is None or "${" in (body[2] or ""):
                complete = False
                message = "a variable is written ${NAME} or ${NAME:-default}, without another inside"
                self.problems.append(Problem(path, message, "write $${ where ${ itself is meant"))
                return ""
            name, default = body[1], body[2]
            given = self.environ.get(name)
            if default is not None:
                return given or default
            if given is None:
                complete = False
                hint = f"set it, or write ${{{name}:-default}}"
                self.problems.append(Problem(path, f"the environment variable {name} is not set", hint))
                return ""
            return given

        result = _VARIABLE.sub(value, text)
        if not result.isascii() and any("\ud800" <= character <= "\udfff" for character in result):
            complete = False
            self.problems.append(Problem(path, "holds bytes that are not UTF-8 text"))
        return result if complete else None


def resolve(text: str) -> Any:
    """Return what an unquoted scalar means: nothing, a truth value, a number, or text."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if found := _NO_FINITE.fullmatch(text):
        return float(f"{found[1] or ''}{found[2] or found[3]}")
    return text
