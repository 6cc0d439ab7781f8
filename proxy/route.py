"""A rule from request to service. Values alone: what finds them in a request is compiled, see docs/compiled.md."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import re

    from proxy.conditions import Conditions

Goal = TypeVar("Goal")


class Compare(enum.Enum):
    """How a route's path is compared with a request's."""

    SEGMENTS = "segments"  # a prefix on a segment boundary: /api holds /api and /api/x, but not /apis
    LETTERS = "letters"  # a prefix: /api holds /apis too
    WHOLE = "whole"  # the whole path: /api holds /api alone


@dataclass(frozen=True, slots=True)
class Route(Generic[Goal]):
    """A rule: requests to `host` whose path `path` holds go to `goal`, a service and the terms for it.

    An empty host or path is no condition. `host` is in lower case, without a port; `*.example.com` stands for every
    name below example.com, not for itself. `expression`, in place of a path, is one that is found in it.
    """

    goal: Goal
    host: bytes = b""
    path: bytes = b""
    compare: Compare = Compare.SEGMENTS
    expression: re.Pattern[bytes] | None = None
    conditions: Conditions | None = None
