"""The services of a split as one listener's requests get to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.http.heads import RequestHead
    from proxy.http.terms import Terms
    from proxy.splits import Split


class Sides:
    """Knows the terms of a split's services, by their names, with the cookie that marks each side and without it."""

    __slots__ = ("_marked", "_split", "_terms")

    def __init__(self, split: Split, terms: Mapping[str, Terms]) -> None:
        self._split = split
        self._terms = dict(terms)
        self._marked = {name: replace(one, cookie=split.cookies[name]) for name, one in terms.items() if split.cookies}

    def choose(self, request: RequestHead) -> Terms:
        """Return the terms of the service that a request falls to."""
        name, marks = self._split.choose(request)
        return self._marked[name] if marks else self._terms[name]
