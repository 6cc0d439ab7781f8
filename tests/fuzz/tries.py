"""The properties, each with the strategies that feed it: to be tried a few times in a test, or for minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.http.heads import HeadLimits
from tests.fuzz import messages
from tests.fuzz.properties import check_cuts_of_requests, check_requests, check_responses

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Try:
    """A property that can be tried; `examples` counts how often it was, whole messages or not."""

    check: Callable[..., Any]
    strategies: tuple[st.SearchStrategy[Any], ...]
    examples: int = 0
    messages: int = 0  # that pointsman took for whole

    def run(self, examples: int, *, fresh: bool) -> None:
        """Try so many examples; `fresh` ones or, without, always the same. Raises what the property raises."""

        def once(arguments: tuple[Any, ...]) -> None:
            self.examples += 1
            reading = self.check(*arguments)
            self.messages += len(reading.messages)

        # An example found is kept as a seed, by people; a database would make two runs different.
        setting = settings(
            max_examples=examples,
            deadline=None,
            derandomize=not fresh,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        setting(given(st.tuples(*self.strategies))(once))()


_narrow = st.builds(
    HeadLimits, request_line=st.integers(10, 40), headers=st.integers(10, 150), header_count=st.integers(1, 6)
)


def _check_responses(requests: list[bytes], data: bytes, cuts: list[int], ended: bool) -> Any:
    return check_responses(requests, data, cuts, ended=ended)


def tries() -> dict[str, Try]:
    """Return all of them, none tried yet."""
    return {
        "requests": Try(check_requests, (messages.requests, messages.cuts)),
        "responses": Try(_check_responses, (messages.asked, messages.responses, messages.cuts, st.booleans())),
        "narrow limits": Try(check_cuts_of_requests, (messages.requests, messages.cuts, _narrow)),
    }
