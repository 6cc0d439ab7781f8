"""No snippet is without a test."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

from tests.readme import snippets


def test_every_snippet_is_run() -> None:
    marked: list[str] = []
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for _, test in inspect.getmembers(importlib.import_module(f"tests.readme.{file.stem}"), inspect.isfunction):
            for mark in (mark for mark in getattr(test, "pytestmark", []) if mark.name == "runs"):
                assert {"stage", "parts", "console"} & set(inspect.signature(test).parameters), test
                marked += mark.args
    assert sorted(marked) == sorted(snippets.found())


def test_every_feature_has_a_snippet_and_is_in_the_table() -> None:
    text = snippets.README.read_text()
    features = re.findall(r"(?m)^### (.+)$", text)
    assert len(features) > 30
    assert set(features) <= set(snippets.found())
    listed = re.findall(r"\[([^\]]+)\]\(#([^)]+)\)", text)
    assert [name for name, _ in listed] == features
    for name, anchor in listed:
        assert anchor == re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-")
