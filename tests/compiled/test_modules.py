"""What is compiled, and what inherits from it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from compiled.build import path_of
from compiled.modules import MODULES, PACKAGES
from compiled.stamp import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMPILED = {ROOT / path_of(module): module for module in MODULES}


def test_each_module_is_there() -> None:
    assert [path.name for path in COMPILED if not path.is_file()] == []


def test_what_is_not_compiled_inherits_only_from_classes_that_allow_it() -> None:
    closed = {(module, one.name) for path, module in COMPILED.items() for one in classes(read(path)) if not allows(one)}
    assert ("proxy.http.exchange", "Exchange") in closed
    refused = []
    for folder in (*PACKAGES, "tests", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            if path not in COMPILED:
                tree = read(path)
                origins = dict(imported(tree))
                refused += [
                    (path.name, one.name) for one in classes(tree) for base in bases(one) if origins.get(base) in closed
                ]
    assert refused == []


def read(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def imported(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """The names that a module imports, and where each comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, (node.module, alias.name)


def allows(one: ast.ClassDef) -> bool:
    return any("allow_interpreted_subclasses=True" in ast.unparse(decorator) for decorator in one.decorator_list)


def bases(one: ast.ClassDef) -> set[str]:
    return {ast.unparse(base.value if isinstance(base, ast.Subscript) else base) for base in one.bases}
