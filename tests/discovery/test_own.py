"""Registries that other packages bring along, and what may be wrong with them; docs/extending.md has a right one."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from config import own_registries
from discovery import own


class Shelf:
    """A registry as a package might have one."""

    def __init__(self, *, path: str, depth: int = 1) -> None:
        if depth < 1:
            raise ValueError("depth must be at least 1")
        self.made_of = path, depth


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("shelf", f"{__name__}:Shelf"), ("gone", "no.such.module:Any")):
        entry = EntryPoint(name, value, own_registries.GROUP)
        monkeypatch.setitem(own_registries.INSTALLED, name, entry)


def test_it_is_made_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda entry: Shelf)  # the tests are no package that could be imported
    made = own.make("shelf", {"path": "/a"})
    assert isinstance(made, Shelf)
    assert made.made_of == ("/a", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the registry 'shelf' needs the option 'path'"),
        ({"path": "/a", "deep": 2}, "the registry 'shelf' has no option 'deep'; its options are path, depth"),
        ({"path": "/a", "depth": 0}, "the registry 'shelf': depth must be at least 1"),
        (
            {"path": "/a", "depth": "deep"},
            "the registry 'shelf': TypeError: '<' not supported between instances of 'str' and 'int'",
        ),
    ],
)
def test_options_that_make_no_sense(monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda entry: Shelf)
    with pytest.raises(own.OwnRegistryError) as refused:
        own.make("shelf", options)
    assert str(refused.value) == message


def test_one_that_cannot_be_loaded() -> None:
    with pytest.raises(own.OwnRegistryError, match="the registry 'gone' cannot be loaded: ModuleNotFoundError: "):
        own.make("gone", {})


@pytest.mark.parametrize("name", ["copy", "json", "model_fields", "rules", "_hidden", "Big", "a b", ""])
def test_names_that_can_be_no_key(name: str) -> None:
    assert not own_registries._is_free(name)


def test_names_that_can_be_a_key() -> None:
    assert own_registries._is_free("zoo-keeper_2")
