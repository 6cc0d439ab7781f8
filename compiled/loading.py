"""Decides, once a process, whether the compiled modules are used, and has Python import them.

The variable POINTSMAN_COMPILED says what is wanted: `auto` (the default) uses a build that fits and else runs what is
in the sources, `0` always runs the sources, `1` refuses to run them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from typing import TYPE_CHECKING

from compiled.modules import LIBRARY, MODULES
from compiled.stamp import BUILT, read, why_unfit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType

VARIABLE = "POINTSMAN_COMPILED"
_CHOICES = ("auto", "0", "1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided, and why.

    `unfit` marks a build that is there and was not used, which somebody may want to know of. With `refused` nothing can
    be run: the modules were wanted compiled, and are not to be had.
    """

    compiled: bool
    reason: str = ""
    unfit: bool = False
    refused: bool = False

    @property
    def name(self) -> str:
        """What is loaded, in a word."""
        return "compiled" if self.compiled else "interpreted"

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.reason else self.name


class CompiledMissingError(ImportError):
    """The compiled modules were asked for, and are not to be had."""


class Finder:
    """Finds the compiled modules, before Python finds their sources."""

    def __init__(self, folder: Path, refused: str = "") -> None:
        self._paths = {name: folder / f"{name}{EXTENSION_SUFFIXES[0]}" for name in (LIBRARY, *MODULES)}
        self._refused = refused

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is, if it is one of those. Raises CompiledMissingError."""
        file = self._paths.get(name)
        if file is None:
            return None
        if self._refused:
            raise CompiledMissingError(self._refused)
        return importlib.util.spec_from_file_location(name, file, loader=ExtensionFileLoader(name, str(file)))


outcome = Outcome(False, "not decided yet")
_decided = False


def install() -> None:
    """Decide, at the first call, and have Python import what was decided on."""
    global outcome, _decided
    if _decided:
        return
    _decided = True
    outcome = decide(os.environ.get(VARIABLE, "auto"), BUILT)
    if outcome.refused:
        sys.meta_path.insert(0, Finder(BUILT, outcome.reason))
    elif outcome.compiled:
        finder = Finder(BUILT)
        sys.meta_path.insert(0, finder)
        try:
            importlib.import_module(LIBRARY)
        except ImportError as error:
            sys.meta_path.remove(finder)
            outcome = Outcome(False, f"what was built cannot be loaded: {error}", unfit=True)
            if os.environ.get(VARIABLE) == "1":
                outcome = _refusal(outcome.reason)
                sys.meta_path.insert(0, Finder(BUILT, outcome.reason))


def decide(wanted: str, folder: Path) -> Outcome:
    """Say what is to be loaded, as far as can be told without loading it."""
    if wanted not in _CHOICES:
        return Outcome(False, f"{VARIABLE}={wanted}: it must be one of {', '.join(_CHOICES)}", refused=True)
    if wanted == "0":
        return Outcome(False, f"{VARIABLE}=0")
    unfit = True
    try:
        why = why_unfit(read(folder), folder)
    except FileNotFoundError:
        why, unfit = "nothing was built", False
    except (OSError, ValueError) as error:
        why = f"what was built cannot be used: {error}"
    if not why:
        return Outcome(True)
    return _refusal(why) if wanted == "1" else Outcome(False, why, unfit=unfit)


def _refusal(why: str) -> Outcome:
    return Outcome(False, f"{VARIABLE}=1, but {why}; build with: python -m compiled", refused=True)
