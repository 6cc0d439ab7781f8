"""What README.md has of snippets."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

README = Path(__file__).parents[2] / "README.md"
_WHOLE = "What it does"  # the heading of the snippet that has what the others leave out


class _Loader(yaml.SafeLoader):
    """Takes `on` for a word, as pointsman does, and not for true."""


_Loader.yaml_implicit_resolvers = {
    first: resolvers for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items() if first not in "oO"
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block."""

    name: str
    language: str
    text: str

    def configuration(self) -> dict[str, Any]:
        """What README says that it stands for: what it leaves out is as in the first snippet of all features.

        That goes for the keys at the top, for services by their names, and for the keys of a service; what is no
        configuration leaves out all of it.
        """
        whole: dict[str, Any] = yaml.load(found()[_WHOLE].text, _Loader)
        part: dict[str, Any] = yaml.load(self.text, _Loader) if self.language == "yaml" else {}
        services = dict(whole["services"])
        for name, keys in part.get("services", {}).items():
            services[name] = {**services.get(name, {}), **keys}
        return {**whole, **part, "services": services}


@functools.cache
def found() -> dict[str, Snippet]:
    """Return all of them by the heading that each stands under, a second one as `Splits 2`."""
    snippets: dict[str, Snippet] = {}
    for section in re.split(r"(?m)^#+ (?=\S)", re.sub(r"(?m)^(```[^`]*?^```)", _guarded, README.read_text()))[1:]:
        heading, _, text = section.partition("\n")
        blocks = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", text.replace("\0", "#"))
        for number, (language, block) in enumerate(blocks, 1):
            name = heading if number == 1 else f"{heading} {number}"
            assert name not in snippets, f"two sections of README.md are called {heading}"
            snippets[name] = Snippet(name, language, block)
    return snippets


def _guarded(block: re.Match[str]) -> str:
    """A comment at the beginning of a snippet's line is no heading."""
    return block[0].replace("#", "\0")
