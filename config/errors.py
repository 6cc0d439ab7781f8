"""What is wrong with a configuration: a problem, and the error that carries all of them."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

KeyPath = tuple[str | int, ...]  # the way from the root to a value: keys of mappings, and places in lists from 0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the user must change.

    `message` is a sentence without its beginning, which is the path: "must be …", "unknown key". `hint` is what may
    help to put it right. `line` is given only where it is not the line of the path.
    """

    path: KeyPath
    message: str
    hint: str = ""
    line: int | None = None

    def __str__(self) -> str:
        parts = [show_path(self.path)] if self.path else []
        return ": ".join([*parts, "; ".join(filter(None, [self.message, self.hint]))])


class ConfigError(Exception):
    """A configuration that cannot be used. `problems` are in the order of their lines, `lines` stand beside them.

    The text has one line a problem: `FILE:LINE: services.web.balncer: unknown key; did you mean 'balancer'?`.
    """

    def __init__(self, file: str, problems: Iterable[Problem], lines: Mapping[KeyPath, int] | None = None) -> None:
        located = [(_line(problem, lines or {}), problem) for problem in dict.fromkeys(problems)]
        located.sort(key=lambda item: item[0] or 0)
        self.file = file
        self.problems = tuple(problem for _, problem in located)
        self.lines = tuple(line for line, _ in located)
        super().__init__(
            "\n".join(f"{file}:{line}: {problem}" if line else f"{file}: {problem}" for line, problem in located)
        )

    def __reduce__(self) -> tuple[type[Self], tuple[str, list[Problem]]]:
        problems = [replace(problem, line=line) for line, problem in zip(self.lines, self.problems, strict=True)]
        return type(self), (self.file, problems)


def _line(problem: Problem, lines: Mapping[KeyPath, int]) -> int | None:
    """Return the line of the problem's path, or of the nearest part of it that is in the file."""
    if problem.line is not None:
        return problem.line
    for length in range(len(problem.path), -1, -1):
        line = lines.get(problem.path[:length])
        if line is not None:
            return line
    return None


def show_path(path: KeyPath) -> str:
    """Write a path as `services.web.discovery.static[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch("[A-Za-z0-9_-]+", step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def listed(words: Sequence[str]) -> str:
    """Write words as `a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def suggest(word: str, words: Iterable[str], otherwise: str) -> str:
    """Ask whether the nearest of `words` was meant; where none is near, list them all after `otherwise`."""
    known = sorted(words)
    near = difflib.get_close_matches(word.lower(), known, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"{otherwise}: {', '.join(known)}" if known else ""
