"""Requests that ask for it go to a part of the endpoints: those of one version, say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from random import Random

    from balancers.balancer import Policy, Request
    from balancers.choice import Choice, Compose
    from balancers.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Subsets:
    """Which header chooses, and by what of an instance.

    The value of the request's `header` (its name in lower case) is looked for under the metadata's key `metadata`, or,
    where that is empty, among the tags. A request without the header goes to all endpoints; one whose value no
    candidate has, too, unless it is `strict`: then nobody may have it.
    """

    header: bytes
    metadata: str = ""
    strict: bool = False

    def values(self, endpoint: Endpoint) -> Collection[bytes]:
        """Return the subsets that an endpoint belongs to."""
        instance = endpoint.instance
        if not self.metadata:
            return [tag.encode() for tag in instance.tags]
        value = instance.metadata.get(self.metadata)
        return [value.encode()] if value else []

    def over(self, inner: Compose) -> Compose:
        """Return the way to put a policy to use on subsets, each in the way `inner`."""

        def compose(
            policy: Policy,
            candidates: Sequence[Endpoint],
            fallible: Sequence[Endpoint],
            random: Random,
            previous: Choice | None,
        ) -> Choice:
            before = previous if isinstance(previous, Subset) else None
            return Subset(self, inner, policy, candidates, fallible, random, before)

        return compose


class Subset:
    """The choice among all, and that of each subset, which is made when it is first asked for."""

    def __init__(
        self,
        rule: Subsets,
        inner: Compose,
        policy: Policy,
        candidates: Sequence[Endpoint],
        fallible: Sequence[Endpoint],
        random: Random,
        previous: Subset | None,
    ) -> None:
        self._rule = rule
        self._inner = inner
        self._policy = policy
        self._random = random
        self._fallible = fallible
        self._candidates = candidates
        self._whole: Choice = inner(policy, candidates, fallible, random, previous._whole if previous else None)
        self._members: dict[bytes, list[Endpoint]] = {}
        for endpoint in candidates:
            for value in rule.values(endpoint):
                self._members.setdefault(value, []).append(endpoint)
        self._before = previous._choices if previous else {}
        self._choices: dict[bytes, Choice] = {}  # no more of them than there are values among the candidates

    def pick(self, request: Request | None = None, /) -> Endpoint | None:
        """Choose among those that the request may go to."""
        value = request.header(self._rule.header) if request is not None else b""
        if not value:
            return self._whole.pick(request)
        choice = self._choices.get(value)
        if choice is None:
            members = self._members.get(value)
            if members is None:
                return None if self._rule.strict else self._whole.pick(request)
            fallible = [endpoint for endpoint in self._fallible if value in self._rule.values(endpoint)]
            choice = self._inner(self._policy, members, fallible, self._random, self._before.get(value))
            self._choices[value] = choice
        return choice.pick(request)

    def open_to(self, request: Request | None) -> Collection[Endpoint]:
        """Return those that the request may go to."""
        value = request.header(self._rule.header) if request is not None else b""
        if not value:
            return self._candidates
        return self._members.get(value, () if self._rule.strict else self._candidates)

    def work(self) -> None:
        """Have each choice do what it has put off."""
        for choice in (self._whole, *self._choices.values()):
            work = getattr(choice, "work", None)
            if work is not None:
                work()
