"""Finds a policy by the name that the configuration gives, a user's own included."""

from __future__ import annotations

import functools
import inspect
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from balancers.balancer import Policy

GROUP = "pointsman.balancers"
CLOCK = "clock"


def time_stands_still() -> float:
    """Be the clock of those who only look at a policy."""
    return 0.0


class UnknownPolicyError(LookupError):
    """No balancer has this name."""


class PolicyOptionError(ValueError):
    """The balancer cannot be loaded, has no such option, or refuses its value."""


def names() -> list[str]:
    """List the names of all installed policies."""
    return sorted(_installed())


def find(name: str, options: Mapping[str, Any], clock: Callable[[], float] = time_stands_still) -> Policy:
    """Return the policy called `name` with its options set.

    A policy is a class found under the entry point group `pointsman.balancers`; its options are the keyword-only
    parameters of its constructor, but for `clock`, by which it is told the time. A method `check`, if it has one, is
    given the options and raises ValueError for one that makes no sense. Raises UnknownPolicyError or PolicyOptionError.
    """
    try:
        entry = _installed()[name]
    except KeyError:
        raise UnknownPolicyError(f"there is no balancer {name!r}; there are {', '.join(names())}") from None
    try:
        policy = entry.load()
    except Exception as error:  # whatever the import of somebody else's package may raise
        raise PolicyOptionError(f"the balancer {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    known = [
        parameter.name
        for parameter in inspect.signature(policy).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    given = dict(options)
    if CLOCK in known:
        known.remove(CLOCK)
    else:
        clock = time_stands_still
    for option in options:
        if option not in known:
            offer = f"its options are {', '.join(known)}" if known else "it has none"
            raise PolicyOptionError(f"the balancer {name!r} has no option {option!r}; {offer}")
    check = getattr(policy, "check", None)
    if check is not None:
        try:
            check(**options)
        except ValueError as error:
            raise PolicyOptionError(f"the balancer {name!r}: {error}") from None
        except Exception as error:  # a value of another type than it thought of, as a rule
            raise PolicyOptionError(f"the balancer {name!r}: {type(error).__name__}: {error}") from error
    if clock is not time_stands_still:
        given[CLOCK] = clock
    return cast("Policy", partial(policy, **given) if given else policy)


@functools.cache  # each look reads the metadata of every distribution: 1.5 ms, and that for each service
def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
